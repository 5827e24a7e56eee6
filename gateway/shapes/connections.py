"""Who follows and blocks whom."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, TIME, USER_ID, WHEN, Schema, maybe, page_of, ref, text, thing

YES_OR_NO: Schema = {"type": "boolean"}

COMPONENTS: dict[str, Schema] = {
    "Relationship": thing(
        id=ID,
        following=YES_OR_NO,
        followed_by=YES_OR_NO,
        requested=YES_OR_NO,
        requested_by=YES_OR_NO,
        blocking=YES_OR_NO,
        muting=YES_OR_NO,
    ),
    "UnknownPerson": thing(id=text(description="As it was asked for"), not_found={"const": True}),
    "Relationships": thing(data={"type": "array", "items": {"anyOf": [ref("Relationship"), ref("UnknownPerson")]}}),
    "Person": thing(
        id=ID,
        handle=maybe(),
        display_name=maybe(description="Null where the person does not show it to the viewer"),
        avatar_url=maybe(),
        since=TIME,
        relationship={"anyOf": [ref("Relationship"), {"type": "null"}]},
    ),
    "PersonPage": page_of("Person"),
}

_RELATIONSHIP = {
    "id": USER_ID,
    "following": True,
    "followed_by": False,
    "requested": False,
    "requested_by": False,
    "blocking": False,
    "muting": False,
}
_UNKNOWN = {"id": "0198a3f2-9999-7d4a-9b57-2f4c8e6a1d03", "not_found": True}
_PERSON = {
    "id": USER_ID,
    "handle": "ann",
    "display_name": "Ann Example",
    "avatar_url": None,
    "since": WHEN,
    "relationship": _RELATIONSHIP,
}

EXAMPLES: dict[str, Any] = {
    "Relationship": _RELATIONSHIP,
    "UnknownPerson": _UNKNOWN,
    "Relationships": {"data": [_RELATIONSHIP, _UNKNOWN]},
    "Person": _PERSON,
    "PersonPage": {"data": [_PERSON], "next_cursor": None},
}

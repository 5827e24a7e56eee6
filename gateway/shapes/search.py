"""Search and lookup of users."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, TIME, USER_ID, WHEN, Schema, maybe, page_of, ref, text, thing

COMPONENTS: dict[str, Schema] = {
    "FoundUser": thing(
        ["id", "private", "created_at"],
        id=ID,
        private={"type": "boolean", "description": "A follow will be a request"},
        created_at=TIME,
        handle=maybe(description="This and the rest are there if the caller may see them"),
        display_name=text(),
        avatar_url=maybe(),
        bio=maybe(),
        location=maybe(),
        website=maybe(),
        locale=maybe(),
        time_zone=maybe(),
        email=text(),
        birth_date=maybe(format="date"),
    ),
    "FoundUserPage": page_of("FoundUser"),
    "NotFoundUser": thing(
        ["not_found"],
        id=text(description="As it was asked for; or this"),
        handle=text(description="As it was asked for"),
        not_found={"type": "boolean", "const": True},
    ),
    "UserLookup": thing(
        data={
            "type": "array",
            "items": {"anyOf": [ref("NotFoundUser"), ref("FoundUser")]},
            "description": "One for each id and then for each handle, in their order",
        }
    ),
}

FOUND = {
    "id": USER_ID,
    "private": False,
    "created_at": WHEN,
    "handle": "ann_example",
    "display_name": "Ann Example",
    "avatar_url": None,
}

EXAMPLES: dict[str, Any] = {
    "FoundUser": FOUND,
    "FoundUserPage": {"data": [FOUND], "next_cursor": None},
    "NotFoundUser": {"handle": "nobody", "not_found": True},
    "UserLookup": {"data": [FOUND, {"handle": "nobody", "not_found": True}]},
}

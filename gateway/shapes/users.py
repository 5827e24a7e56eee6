"""Profiles."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, TIME, USER_ID, WHEN, Schema, maybe, ref, text, thing

AUDIENCES = ("public", "followers", "mutuals", "private")
#: whose audience the owner may choose
VISIBLE = (
    "handle",
    "display_name",
    "avatar_url",
    "bio",
    "location",
    "website",
    "locale",
    "time_zone",
    "email",
    "birth_date",
)
BOOLEAN = {"type": "boolean"}
COUNT = {"type": "integer", "minimum": 0}

FIELDS: dict[str, Schema] = {
    "handle": maybe(description="Unique, whatever its case"),
    "display_name": text(),
    "bio": maybe(),
    "avatar_url": maybe(),
    "location": maybe(),
    "website": maybe(),
    "birth_date": maybe(format="date"),
    "locale": maybe(description="A language tag (BCP 47)"),
    "time_zone": maybe(description="A name of the IANA time zone database"),
}
ALWAYS: dict[str, Schema] = {
    "id": ID,
    "private": {**BOOLEAN, "description": "Whether followers have to be accepted"},
    "created_at": TIME,
    "followers_count": COUNT,
    "following_count": COUNT,
}
SETTINGS: dict[str, Schema] = {
    "visibility": {
        "type": "object",
        "description": "Who sees a field, where that was chosen. Otherwise: handle, display_name and avatar_url "
        "`public`; email and birth_date `private`; the others `followers`",
        "propertyNames": {"enum": list(VISIBLE)},
        "additionalProperties": text(enum=list(AUDIENCES)),
    },
    "discoverable": {**BOOLEAN, "description": "Whether searches may find the profile"},
    "findable_by_email": {**BOOLEAN, "description": "Whether who knows the address may find the profile by it"},
    "updated_at": TIME,
    "version": {"type": "integer", "description": "Counts the changes"},
}

COMPONENTS: dict[str, Schema] = {
    "CreatedUser": thing(id=ID, email=text(), name=text()),
    "PublicProfile": thing(
        [*ALWAYS, "relationship"],
        **ALWAYS,
        **{name: {**told, "description": "There if the viewer may see it"} for name, told in FIELDS.items()},
        email=text(description="There if the viewer may see it"),
        **{name: {**told, "description": "There for the user themselves"} for name, told in SETTINGS.items()},
        relationship={
            "anyOf": [ref("Relationship"), {"type": "null"}],
            "description": "Null for a viewer who is not signed in, and for the user themselves",
        },
    ),
    "Profile": thing(**ALWAYS, email=text(), **FIELDS, **SETTINGS),
}

_SEEN = {
    "id": USER_ID,
    "handle": "ann",
    "display_name": "Ann Example",
    "avatar_url": None,
    "private": False,
    "created_at": WHEN,
    "followers_count": 12,
    "following_count": 7,
}

EXAMPLES: dict[str, Any] = {
    "CreatedUser": {"id": USER_ID, "email": "ann@example.com", "name": "Ann Example"},
    "PublicProfile": {**_SEEN, "relationship": None},
    "Profile": {
        **_SEEN,
        "email": "ann@example.com",
        "bio": "Hares, mostly",
        "location": None,
        "website": "https://example.com/ann",
        "birth_date": None,
        "locale": "de-CH",
        "time_zone": "Europe/Zurich",
        "visibility": {"bio": "public"},
        "discoverable": True,
        "findable_by_email": False,
        "updated_at": WHEN,
        "version": 7,
    },
}

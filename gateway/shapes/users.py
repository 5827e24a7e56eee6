"""Profiles."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, TIME, USER_ID, WHEN, Schema, maybe, text, thing

COMPONENTS: dict[str, Schema] = {
    "CreatedUser": thing(id=ID, email=text(), name=text()),
    "PublicProfile": thing(id=ID, handle=maybe(), display_name=text(), avatar_url=maybe(), created_at=TIME),
    "Profile": thing(
        id=ID,
        email=text(),
        handle=maybe(),
        display_name=text(),
        bio=maybe(),
        avatar_url=maybe(),
        location=maybe(),
        website=maybe(),
        birth_date=maybe(format="date"),
        locale=maybe(),
        time_zone=maybe(),
        discoverable={"type": "boolean"},
        created_at=TIME,
        updated_at=TIME,
    ),
}

EXAMPLES: dict[str, Any] = {
    "CreatedUser": {"id": USER_ID, "email": "ann@example.com", "name": "Ann Example"},
    "PublicProfile": {
        "id": USER_ID,
        "handle": None,
        "display_name": "Ann Example",
        "avatar_url": None,
        "created_at": WHEN,
    },
    "Profile": {
        "id": USER_ID,
        "email": "ann@example.com",
        "handle": None,
        "display_name": "Ann Example",
        "bio": None,
        "avatar_url": None,
        "location": None,
        "website": None,
        "birth_date": None,
        "locale": None,
        "time_zone": None,
        "discoverable": True,
        "created_at": WHEN,
        "updated_at": WHEN,
    },
}

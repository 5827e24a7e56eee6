"""Notifications."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, TIME, WHEN, Schema, maybe, ref, text, thing

NOTIFICATION_ID = "0198a3f8-3c51-7f02-9a64-7e1b0d5c9f31"
FOLLOWER_ID = "0198a3f1-52d0-7b1e-8c43-6f0a9e2d7b15"

TYPES = (
    "followed",
    "follow_requested",
    "follow_accepted",
    "payment_succeeded",
    "payment_failed",
    "payment_refunded",
    "payment_refund_failed",
    "password_changed",
    "email_changed",
    "refresh_reused",
    "sessions_ended",
    "login_locked",
    "roles_changed",
)

COMPONENTS: dict[str, Schema] = {
    "Actor": thing(id=ID, handle=maybe(), display_name=maybe(), avatar_url=maybe()),
    "Notification": thing(
        id=ID,
        number={"type": "integer", "minimum": 1, "description": "From 1 for each account, in the order of coming"},
        type=text(description=f"What happened: {', '.join(f'`{each}`' for each in TYPES)}; there may come more"),
        data={
            "type": "object",
            "description": "More about it, by type: ids, `amount` in minor units and `currency`; a `reason`",
        },
        actor={"anyOf": [ref("Actor"), {"type": "null"}], "description": "Who did it"},
        created_at={**TIME, "description": "When it happened; the order is that of the numbers"},
        read_at=maybe(format="date-time"),
    ),
    "NotificationPage": thing(
        data={"type": "array", "items": ref("Notification")},
        next_cursor=maybe(description="Send it as `cursor` for the next page; null on the last one"),
        unread={"type": "integer", "minimum": 0, "description": "How many of all are unread"},
    ),
}

NOTIFICATION_EXAMPLE: dict[str, Any] = {
    "id": NOTIFICATION_ID,
    "number": 17,
    "type": "followed",
    "data": {},
    "actor": {"id": FOLLOWER_ID, "handle": "bob", "display_name": "Bob Example", "avatar_url": None},
    "created_at": WHEN,
    "read_at": None,
}

EXAMPLES: dict[str, Any] = {
    "Actor": NOTIFICATION_EXAMPLE["actor"],
    "Notification": NOTIFICATION_EXAMPLE,
    "NotificationPage": {"data": [NOTIFICATION_EXAMPLE], "next_cursor": None, "unread": 3},
}

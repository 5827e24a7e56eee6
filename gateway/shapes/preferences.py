"""Preferences, settings, and what people want to be told of."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import Schema, text, thing

THEMES = ("system", "light", "dark")
TIME_FORMATS = ("12h", "24h")
DATE_FORMATS = ("YYYY-MM-DD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY")
WEEK_STARTS = ("monday", "saturday", "sunday")
MENTIONS = ("everyone", "followers", "nobody")
NOTIFICATION_TYPES = (
    "followed",
    "follow_requested",
    "follow_accepted",
    "payment_succeeded",
    "payment_failed",
    "payment_refunded",
    "payment_refund_failed",
)
#: cannot be switched off
SECURITY_TYPES = (
    "password_changed",
    "email_changed",
    "refresh_reused",
    "sessions_ended",
    "login_locked",
    "roles_changed",
)

BOOLEAN = {"type": "boolean"}
RECORD = {
    "schema_version": {"type": "integer", "description": "Grows when a member changes its meaning"},
    "version": {"type": "integer", "description": "Counts the changes; 0 before the first"},
}
TIME_OF_DAY = text(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")

COMPONENTS: dict[str, Schema] = {
    "Preferences": thing(
        theme=text(enum=list(THEMES)),
        language=text(description="BCP 47"),
        time_format=text(enum=list(TIME_FORMATS)),
        date_format=text(enum=list(DATE_FORMATS)),
        start_of_week=text(enum=list(WEEK_STARTS)),
        items_per_page={"type": "integer", "minimum": 1, "maximum": 100},
        **RECORD,
    ),
    "Settings": thing(
        show_online=BOOLEAN,
        allow_mentions_from=text(enum=list(MENTIONS)),
        auto_accept_follow_requests=BOOLEAN,
        hide_network={**BOOLEAN, "description": "Only the owner sees who follows them and whom they follow"},
        **RECORD,
    ),
    "NotificationChannels": thing(in_app=BOOLEAN, email=BOOLEAN),
    "NotificationPreferences": thing(
        types={
            "type": "object",
            "description": "By type; those of the account's security are always told both ways",
            "properties": {
                each: {"$ref": "#/components/schemas/NotificationChannels"}
                for each in (*NOTIFICATION_TYPES, *SECURITY_TYPES)
            },
        },
        quiet_hours={
            **thing(enabled=BOOLEAN, **{"from": TIME_OF_DAY, "to": TIME_OF_DAY}),
            "description": "When no mails are sent, in the time zone of the profile; they come afterwards",
        },
        **RECORD,
    ),
}

EXAMPLES: dict[str, Any] = {
    "Preferences": {
        "theme": "dark",
        "language": "de-CH",
        "time_format": "24h",
        "date_format": "DD.MM.YYYY",
        "start_of_week": "monday",
        "items_per_page": 20,
        "schema_version": 1,
        "version": 3,
    },
    "Settings": {
        "show_online": True,
        "allow_mentions_from": "everyone",
        "auto_accept_follow_requests": False,
        "hide_network": False,
        "schema_version": 1,
        "version": 0,
    },
    "NotificationChannels": {"in_app": True, "email": False},
    "NotificationPreferences": {
        "types": {
            **{each: {"in_app": True, "email": each.startswith("payment_")} for each in NOTIFICATION_TYPES},
            **{each: {"in_app": True, "email": True} for each in SECURITY_TYPES},
        },
        "quiet_hours": {"enabled": True, "from": "22:00", "to": "07:00"},
        "schema_version": 1,
        "version": 2,
    },
}

"""Preferences, settings and notification preferences."""

from __future__ import annotations

from typing import Any

from flask import Response, g
from marshmallow import validate

from gateway.bearer import signed_in
from gateway.fields import Choice, Flag, Part, Shape, Text, Whole
from gateway.openapi import Routes, operation
from gateway.rpc import services
from gateway.shapes.preferences import (
    DATE_FORMATS,
    MENTIONS,
    NOTIFICATION_TYPES,
    SECURITY_TYPES,
    THEMES,
    TIME_FORMATS,
    WEEK_STARTS,
)
from gateway.versions import merge_patch, patched, read_version

blueprint = Routes("preferences", __name__, url_prefix="/api/v1/users", description="Preferences and settings")
MAX_LANGUAGE, MAX_TIME = 35, 5
USER_NOT_FOUND = ("user_not_found",)


def _choice(*words: str) -> Choice:
    return Choice(*words, allow_none=True)


def _flag() -> Flag:
    return Flag(allow_none=True)


def _time() -> Text:
    return Text(longest=MAX_TIME, allow_none=True, metadata={"example": "22:00"})


class PreferencesPatch(Shape):
    theme = _choice(*THEMES)
    language = Text(longest=MAX_LANGUAGE, allow_none=True, metadata={"description": "BCP 47", "example": "de-CH"})
    time_format = _choice(*TIME_FORMATS)
    date_format = _choice(*DATE_FORMATS)
    start_of_week = _choice(*WEEK_STARTS)
    items_per_page = Whole(
        allow_none=True, validate=validate.Range(min=1, max=100, error="out_of_range: from {min} to {max}")
    )


class SettingsPatch(Shape):
    show_online = _flag()
    allow_mentions_from = _choice(*MENTIONS)
    auto_accept_follow_requests = _flag()
    hide_network = _flag()


class ChannelsPatch(Shape):
    in_app = _flag()
    email = _flag()


TYPES_PATCH = Shape.from_dict(
    {each: Part(ChannelsPatch) for each in (*NOTIFICATION_TYPES, *SECURITY_TYPES)}, name="NotificationTypesPatch"
)
# "from" is a word of Python's own.
QUIET_HOURS_PATCH = Shape.from_dict({"enabled": _flag(), "from": _time(), "to": _time()}, name="QuietHoursPatch")


class NotificationPreferencesPatch(Shape):
    types = Part(TYPES_PATCH)
    quiet_hours = Part(QUIET_HOURS_PATCH)


PREFERENCES, SETTINGS, NOTIFICATIONS = PreferencesPatch(), SettingsPatch(), NotificationPreferencesPatch()


def _read(kind: str) -> Response:
    return read_version(services().users_svc.get_preferences(user_id=g.call.actor.id, kind=kind))


def _patch(kind: str, changes: dict[str, Any], version: int | None) -> Response:
    return patched(
        services().users_svc.update_preferences(
            user_id=g.call.actor.id, kind=kind, changes=changes, expected_version=version
        )
    )


@blueprint.get("/preferences")
@operation(gives=(200, "Preferences"), token=True, errors={404: USER_NOT_FOUND})
@signed_in
def get_preferences() -> Response:
    """Show the own preferences

    How things look: what was not chosen is the default.
    """
    return _read("preferences")


@blueprint.patch("/preferences")
@operation(
    gives=(200, "Preferences"),
    takes=PREFERENCES,
    example={"theme": "dark", "language": None},
    merge=True,
    token=True,
    errors={404: USER_NOT_FOUND, 422: ("invalid_preference",)},
)
@signed_in
@merge_patch(PREFERENCES)
def update_preferences(changes: dict[str, Any], version: int | None) -> Response:
    """Change the own preferences

    A merge patch: what is left out stays, null goes back to the default.
    """
    return _patch("preferences", changes, version)


@blueprint.get("/settings")
@operation(gives=(200, "Settings"), token=True, errors={404: USER_NOT_FOUND})
@signed_in
def get_settings() -> Response:
    """Show the own settings

    How one wants to be dealt with: what was not chosen is the default.
    """
    return _read("settings")


@blueprint.patch("/settings")
@operation(
    gives=(200, "Settings"),
    takes=SETTINGS,
    example={"hide_network": True, "allow_mentions_from": "followers"},
    merge=True,
    token=True,
    errors={404: USER_NOT_FOUND, 422: ("invalid_preference",)},
)
@signed_in
@merge_patch(SETTINGS)
def update_settings(changes: dict[str, Any], version: int | None) -> Response:
    """Change the own settings

    A merge patch: what is left out stays, null goes back to the default.
    """
    return _patch("settings", changes, version)


@blueprint.get("/notification-preferences")
@operation(gives=(200, "NotificationPreferences"), token=True, errors={404: USER_NOT_FOUND})
@signed_in
def get_notification_preferences() -> Response:
    """Show what one wants to be told of

    By type and channel, and when not to send mails.
    """
    return _read("notification_preferences")


@blueprint.patch("/notification-preferences")
@operation(
    gives=(200, "NotificationPreferences"),
    takes=NOTIFICATIONS,
    example={"types": {"followed": {"email": True}}, "quiet_hours": {"enabled": True, "from": "21:30"}},
    merge=True,
    token=True,
    errors={404: USER_NOT_FOUND, 422: ("invalid_preference", "not_optional")},
)
@signed_in
@merge_patch(NOTIFICATIONS)
def update_notification_preferences(changes: dict[str, Any], version: int | None) -> Response:
    """Change what one wants to be told of

    A merge patch: what is left out stays, null goes back to the default. Notices of the account's security cannot be
    switched off.
    """
    return _patch("notification_preferences", changes, version)

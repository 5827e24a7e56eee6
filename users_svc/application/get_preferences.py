"""Somebody looks at their own preferences."""

from __future__ import annotations

from users_svc.application.ports import Ports
from users_svc.domain.preference_records import PreferenceRecord
from users_svc.domain.preferences import parse_kind
from users_svc.domain.profile import parse_user_id


def get_preferences(ports: Ports, *, user_id: str, kind: str) -> PreferenceRecord:
    """Return the person's record of one kind; it is all defaults as long as they have chosen nothing."""
    return ports.preferences.find(parse_user_id(user_id), parse_kind(kind))

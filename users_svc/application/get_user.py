"""Somebody looks at a user."""

from __future__ import annotations

from typing import Any

from users_svc.application.ports import Ports
from users_svc.domain.profile import UserNotFound, parse_user_id, public_view


def get_user(ports: Ports, *, user_id: str) -> dict[str, Any]:
    """Return what everybody may see of the user."""
    wanted = parse_user_id(user_id)
    profile = ports.profiles.find(wanted)
    if profile is None:
        raise UserNotFound("there is no such user")
    return public_view(profile)

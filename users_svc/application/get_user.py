"""Somebody looks at a user."""

from __future__ import annotations

from typing import Any

from users_svc.application.ports import Ports
from users_svc.domain.profile import UserNotFound, parse_user_id


def get_user(ports: Ports, *, user_id: str) -> dict[str, Any]:
    """Return what everybody may see of the user."""
    wanted = parse_user_id(user_id)
    with ports.unit_of_work() as uow:
        profile = uow.profiles.find(wanted)
    if profile is None:
        raise UserNotFound("there is no such user")
    return profile.public_view()

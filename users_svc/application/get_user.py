"""Somebody looks at a user."""

from __future__ import annotations

from typing import Any

from users_svc.application.ports import Ports
from users_svc.domain.profile import UserNotFound, is_shown, parse_user_id, public_view


def get_user(
    ports: Ports, *, user_id: str, viewer_id: str | None = None, sees_disabled: bool = False
) -> dict[str, Any]:
    """Return what everybody may see of the user.

    The user of a disabled account is not there, but for themselves; nothing tells that from an id that nobody has.

    :param viewer_id: who looks; None for somebody who is not signed in
    :param sees_disabled: they may see users of disabled accounts
    """
    wanted = parse_user_id(user_id)
    profile = ports.profiles.find(wanted)
    if profile is None or not is_shown(profile, viewer_id=viewer_id, sees_disabled=sees_disabled):
        raise UserNotFound("there is no such user")
    return public_view(profile)

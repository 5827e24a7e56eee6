"""Somebody looks at their own profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from users_svc.application.open_profile import profile_of
from users_svc.application.ports import Ports
from users_svc.domain.profile import UserNotFound, parse_user_id


def get_profile(ports: Ports, *, user_id: str) -> Mapping[str, Any]:
    """Return the fields of the owner's profile, and how many follow them and are followed by them.

    Opened now, if the news of the account has not come yet.
    """
    wanted = parse_user_id(user_id)
    found = ports.people.view(wanted, wanted)
    if found is None:
        profile_of(ports, ports.identities.get_account(wanted))
        found = ports.people.view(wanted, wanted)
    if found is None:
        # Deleted between the two.
        raise UserNotFound("there is no such user")
    return found

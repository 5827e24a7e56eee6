"""Somebody looks at their own profile."""

from __future__ import annotations

from users_svc.application.open_profile import profile_of
from users_svc.application.ports import Ports
from users_svc.domain.profile import Profile, parse_user_id


def get_profile(ports: Ports, *, user_id: str) -> Profile:
    """Return the owner's profile; if the news of the account has not come yet, ask for the account and open it."""
    wanted = parse_user_id(user_id)
    with ports.unit_of_work() as uow:
        profile = uow.profiles.find(wanted)
    return profile or profile_of(ports, ports.identities.get_account(wanted))

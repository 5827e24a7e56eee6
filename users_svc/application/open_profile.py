"""An account was made: give it a profile."""

from __future__ import annotations

from uuid import UUID

from users_svc.application.ports import Ports
from users_svc.domain.identity import Identity
from users_svc.domain.profile import Profile


def open_profile(ports: Ports, *, event_id: str, user_id: str, email: str, name: str, sequence: int) -> None:
    """Open the account's profile, or bring the one that is there up to the event."""
    now = ports.now()
    opened = Profile.open(UUID(user_id), email=email, name=name, now=now)
    with ports.unit_of_work() as uow:
        if not uow.first_time("open_profile", event_id):
            return
        uow.profiles.add_or_get(opened).follow_account(email=email, sequence=sequence, now=now)
        uow.commit()


def profile_of(ports: Ports, account: Identity) -> Profile:
    """Return the profile of an account that auth answered with, opened now if the event has not done so yet."""
    opened = Profile.open(account.id, email=account.email, name=account.name, now=ports.now())
    with ports.unit_of_work() as uow:
        profile = uow.profiles.add_or_get(opened)
        uow.commit()
    return profile

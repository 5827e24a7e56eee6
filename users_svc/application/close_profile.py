"""An account was deleted: its profile goes, for good."""

from __future__ import annotations

from uuid import UUID

from users_svc.application.ports import Ports
from users_svc.domain.account_state import AccountState


def close_profile(ports: Ports, *, event_id: str, user_id: str) -> None:
    """Remove everything that is known of the account and leave a tombstone. The others' counts of followers follow.

    Nothing comes after the end of an account, so no number is looked at: whatever else arrives is late, or repeated.
    """
    with ports.unit_of_work() as uow:
        if not uow.first_time("close_profile", event_id):
            return
        account = uow.accounts.add_or_get(AccountState(UUID(user_id)))
        if account is not None:
            uow.connections.leave(account.id)
            profile = uow.profiles.get(account.id)
            if profile is not None and profile.handle_key is not None:
                # Links to it are still about: nobody else gets it for a while.
                uow.handles.move(account.id, given_up=profile.handle_key, taken=None, now=ports.now())
            uow.profiles.remove(account.id)
            uow.accounts.bury(account, ports.now())
        uow.commit()

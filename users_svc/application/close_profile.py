"""An account was deleted: its profile goes, for good."""

from __future__ import annotations

from uuid import UUID

from users_svc.application.ports import Ports
from users_svc.domain.account_state import AccountState

BATCH = 50
"""Edges of each kind, in each direction, that one transaction removes: it locks eight times as many people at most, and
somebody whom millions follow makes nobody wait."""


def close_profile(ports: Ports, *, event_id: str, user_id: str, batch: int = BATCH) -> None:
    """Remove everything that is known of the account and leave a tombstone. The others' counts of followers follow.

    Nothing comes after the end of an account, so no number is looked at: whatever else arrives is late, or repeated.
    The event counts as seen once all is removed, so that it goes on where it was killed. The profile is hidden
    meanwhile.
    """
    while not _close(ports, event_id, UUID(user_id), batch):
        pass


def _close(ports: Ports, event_id: str, user_id: UUID, batch: int) -> bool:
    """Return whether nothing is left."""
    with ports.unit_of_work() as uow:
        account = uow.accounts.add_or_get(AccountState(user_id))
        if account is None:
            return True
        is_alone = uow.connections.leave(account.id, batch)
        profile = uow.profiles.get(account.id)
        if is_alone:
            if profile is not None and profile.handle_key is not None:
                # Links to it are still about: nobody else gets it for a while.
                uow.handles.move(account.id, given_up=profile.handle_key, taken=None, now=ports.now())
            uow.profiles.remove(account.id)
            uow.accounts.bury(account, ports.now())
            uow.note("close_profile", event_id)
        else:
            assert profile is not None  # noqa: S101  (what connects people refers to their profiles)
            profile.disabled = True
        uow.commit()
    return is_alone

"""Another key signs access tokens from now on, and not one valid token is refused for that."""

from __future__ import annotations

from collections.abc import Sequence

from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.application.ports import Ports
from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.signing_key import KeyState, SigningKey


def rotate_signing_keys(ports: Ports, *, at_once: bool = False) -> Sequence[SigningKey]:
    """Have the next key sign, keep the old one published, publish a new next key; return the published keys.

    :param at_once: do not wait until every verifier has the next key in its copy: who meets it asks for it
    :raises KeyTooNew: the next key has not been published for long enough, also as a parallel rotation was faster
    """
    ensure_signing_key(ports)
    made = ports.key_maker.make(ports.now())
    made.hold_back()
    with ports.unit_of_work() as uow:
        # The first look waits for a parallel rotation to end; only a second one sees the key that it made.
        uow.signing_keys.locked()
        now = ports.now()
        upcoming = key_in(uow, "next")
        upcoming.check_known(now, at_once=at_once)
        active = key_in(uow, "active")
        active.retire(now)
        write_changes(uow)
        upcoming.promote()
        uow.signing_keys.add(made)
        removed = _remove_unneeded(ports, uow)
        uow.audit.add(
            "signing_key.rotated",
            account_id=None,
            details={
                "kid": upcoming.kid,
                "retired": active.kid,
                "next": made.kid,
                "removed": removed,
                "at_once": at_once,
            },
        )
        uow.commit()
    ports.tokens.forget_keys()
    return ensure_signing_key(ports)


def key_in(uow: UnitOfWork, state: KeyState) -> SigningKey:
    """Return the key that is in this state now, locked."""
    return next(key for key in uow.signing_keys.locked() if key.state == state)


def write_changes(uow: UnitOfWork) -> None:
    """Have the database know what has changed so far, as every question does: it takes no second key in the same state.

    Not even within a transaction, so a key has to leave its state before another one enters it.
    """
    uow.signing_keys.locked()


def _remove_unneeded(ports: Ports, uow: UnitOfWork) -> list[str]:
    now, lifetime = ports.now(), ports.rules.access_token_lifetime
    unneeded = [key for key in uow.signing_keys.locked() if not key.is_needed(now, lifetime)]
    for key in unneeded:
        uow.signing_keys.remove(key)
    return [key.kid for key in unneeded]

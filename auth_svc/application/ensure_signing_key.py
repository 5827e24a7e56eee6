"""There is a key to sign access tokens with, and the next one, however many instances start at once."""

from __future__ import annotations

from collections.abc import Sequence

from auth_svc.application.ports import Ports
from auth_svc.domain.signing_key import KeyState, SigningKey, SigningKeyExists

ALWAYS_THERE: tuple[KeyState, ...] = ("active", "next")


def ensure_signing_key(ports: Ports) -> Sequence[SigningKey]:
    """Return the published keys, oldest first, after making those that are missing.

    Keys that have retired and are not needed any more are left out; the next rotation removes them.
    """
    keys = _published(ports)
    missing = [state for state in ALWAYS_THERE if all(key.state != state for key in keys)]
    if not missing:
        return keys
    try:
        with ports.unit_of_work() as uow:
            for state in missing:
                made = ports.key_maker.make(ports.now())
                if state == "next":
                    made.hold_back()
                uow.signing_keys.add(made)
                uow.audit.add("signing_key.created", account_id=None, details={"kid": made.kid, "state": state})
            uow.commit()
    except SigningKeyExists:
        # Another instance was faster, and its keys are the ones to use.
        pass
    return _published(ports)


def _published(ports: Ports) -> Sequence[SigningKey]:
    with ports.unit_of_work() as uow:
        keys = uow.signing_keys.published()
    return [key for key in keys if key.is_needed(ports.now(), ports.rules.access_token_lifetime)]

"""A signing key is in the wrong hands, and goes at once."""

from __future__ import annotations

from collections.abc import Sequence

from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.application.ports import Ports
from auth_svc.application.rotate_signing_keys import key_in, write_changes
from auth_svc.domain.signing_key import SigningKey, SigningKeyNotFound


def withdraw_signing_key(ports: Ports, *, kid: str) -> Sequence[SigningKey]:
    """Remove a key, have the next one sign if it was the active one, and return the keys that are published now.

    What it signed, whoever made that, is refused by each verifier as soon as that reads the keys anew: within seconds
    by introspection, within a minute at a gateway, at the latest when a copy is too old to be used (5 minutes, as
    `lib.tokens.KeySet` has it; for others as the key set's Cache-Control says). People stay signed in: a refresh gives
    them a token from another key. That one is not held back until everybody knows it: in an emergency some new tokens
    may be refused for seconds.

    :raises SigningKeyNotFound: there is none with this id (any more)
    """
    made = ports.key_maker.make(ports.now())
    made.hold_back()
    ensure_signing_key(ports)
    with ports.unit_of_work() as uow:
        # As in a rotation: the first look waits, the second one sees.
        uow.signing_keys.locked()
        key = next((each for each in uow.signing_keys.locked() if each.kid == kid), None)
        if key is None:
            raise SigningKeyNotFound
        uow.signing_keys.remove(key)
        write_changes(uow)
        if key.state == "active":
            key_in(uow, "next").promote()
        if key.state != "retiring":
            uow.signing_keys.add(made)
        uow.audit.add("signing_key.withdrawn", account_id=None, details={"kid": kid, "state": key.state})
        uow.commit()
    ports.tokens.forget_keys()
    return ensure_signing_key(ports)

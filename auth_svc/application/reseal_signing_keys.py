"""SECRET_KEY has a new key in front, and the signing keys are to be opened by that one."""

from __future__ import annotations

from collections.abc import Sequence

from auth_svc.application.ports import Ports
from auth_svc.domain.signing_key import SigningKey


def reseal_signing_keys(ports: Ports) -> Sequence[SigningKey]:
    """Encrypt the private halves anew with the newest SECRET_KEY; return the keys that have one.

    Run it with the same SECRET_KEY as all instances have by then; after it the old one is not needed for signing keys.

    :raises SealedKeyError: SECRET_KEY does not open one of them; none is changed
    """
    with ports.unit_of_work() as uow:
        # Retired keys have no private half.
        keys = [key for key in uow.signing_keys.locked() if key.sealed_private]
        for key in keys:
            key.sealed_private = ports.key_maker.reseal(key.sealed_private)
        uow.audit.add("signing_key.resealed", account_id=None, details={"kids": [key.kid for key in keys]})
        uow.commit()
    return keys

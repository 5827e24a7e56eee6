"""There is a key to sign access tokens with, and only one, however many instances start at once."""

from __future__ import annotations

from collections.abc import Sequence

from auth_svc.application.ports import Ports
from auth_svc.domain.signing_key import SigningKey, SigningKeyExists


def ensure_signing_key(ports: Ports) -> Sequence[SigningKey]:
    """Return the published keys, after making the active one if there is none."""
    keys = _published(ports)
    if any(key.state == "active" for key in keys):
        return keys
    made = ports.key_maker.make(ports.now())
    try:
        with ports.unit_of_work() as uow:
            uow.signing_keys.add(made)
            uow.commit()
    except SigningKeyExists:
        # Another instance was faster, and its key is the one to use.
        return _published(ports)
    return [*keys, made]


def _published(ports: Ports) -> Sequence[SigningKey]:
    with ports.unit_of_work() as uow:
        return uow.signing_keys.published()

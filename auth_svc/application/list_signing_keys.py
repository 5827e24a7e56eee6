"""An operator looks at the keys that access tokens are signed with."""

from __future__ import annotations

from collections.abc import Sequence

from auth_svc.application.ports import Ports
from auth_svc.domain.signing_key import SigningKey


def list_signing_keys(ports: Ports) -> Sequence[SigningKey]:
    """Return all keys, oldest first, those that wait to be removed too."""
    with ports.unit_of_work() as uow:
        return uow.signing_keys.published()

"""The step that looks at a password."""

from __future__ import annotations

from auth_svc.application.ports import Ports
from lib.errors import Unavailable


def check_password(ports: Ports, *, password_hash: str | None, password: str | None, key: bytes) -> bool:
    """Tell whether the hash is the password's, always after the same work; outside of transactions.

    :param key: under which the attempt was counted
    :raises Unavailable: too many are waiting. Nobody has looked at the password, so the attempt does not count
    """
    try:
        return ports.hasher.verify(password_hash, password or "")
    except Unavailable:
        with ports.unit_of_work() as uow:
            uow.login_attempts.take_back(key)
            uow.commit()
        raise

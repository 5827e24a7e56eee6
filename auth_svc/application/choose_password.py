"""The step with which somebody chooses a new password."""

from __future__ import annotations

from auth_svc.application.ports import Ports
from auth_svc.domain.email import Email
from auth_svc.domain.password import breached_password, new_password


def choose_password(ports: Ports, password: str, *, email: Email, name: str) -> str:
    """Return the hash of an acceptable new password; outside of transactions, for it takes its time.

    :raises WeakPassword: with all reasons against it
    :raises Unavailable: too many are waiting for their hashes
    """
    accepted = new_password(password, email=email, name=name, common=ports.common_passwords)
    if ports.breached_passwords.contains(accepted):
        raise breached_password()
    return ports.hasher.hash(accepted)

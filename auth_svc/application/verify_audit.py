"""An operator looks whether somebody has tampered with the audit trail."""

from __future__ import annotations

from auth_svc.application.ports import Ports, Verdict
from lib.errors import Invalid


class InvalidHead(Invalid):
    code = "invalid_head"


def verify_audit(ports: Ports, *, expected: str | None = None) -> Verdict:
    """Go through the whole audit trail.

    :param expected: a head that was logged before; without it nobody sees that the newest entries are gone
    :raises InvalidHead: that is none
    """
    return ports.audit_log.verify(expected)

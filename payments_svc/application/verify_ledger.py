"""An operator looks whether somebody has tampered with the books."""

from __future__ import annotations

from payments_svc.application.ledger_ports import Verdict
from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import BadArgument


class InvalidHead(BadArgument):
    code = "invalid_head"


def verify_ledger(ports: Ports, *, expected: str | None = None) -> Verdict:
    """Go through all of the books, however long it takes.

    :param expected: a head that was logged before; without it nobody sees that the newest entries are gone
    :raises InvalidHead: that is none
    """
    return ports.ledger.verify(expected)

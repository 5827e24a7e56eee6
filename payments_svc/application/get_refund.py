"""Look at one refund."""

from __future__ import annotations

from payments_svc.application.ports import Ports, Row
from payments_svc.domain.arguments import parse_id, parse_user_id
from payments_svc.domain.refund import RefundNotFound


def get_refund(ports: Ports, *, user_id: str, refund_id: str) -> Row:
    wanted = parse_id(refund_id)
    refund = None if wanted is None else ports.reads.refund(parse_user_id(user_id), wanted)
    if refund is None:
        raise RefundNotFound("there is no such refund")
    return refund

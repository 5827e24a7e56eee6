"""Look at one refund."""

from __future__ import annotations

from contextlib import suppress

from payments_svc.application.check_payment import has_time, is_past
from payments_svc.application.check_refund import check_refund
from payments_svc.application.ports import Ports, Row
from payments_svc.domain.arguments import parse_id, parse_user_id
from payments_svc.domain.outcome import ProviderBusy
from payments_svc.domain.refund import RefundNotFound


def get_refund(ports: Ports, *, user_id: str, refund_id: str) -> Row:
    """Return the refund as it is; if the time to ask the provider about it has come, as it is after that."""
    refund = _find(ports, user_id, refund_id)
    due_at = refund["next_check_at"]
    if not is_past(due_at, ports.now()) or not has_time(ports) or not _is_ours_to_check(ports, refund):
        return refund
    with suppress(ProviderBusy):
        check_refund(ports, refund["id"], due=True)
    return _find(ports, user_id, refund_id)


def _find(ports: Ports, user_id: str, refund_id: str) -> Row:
    wanted = parse_id(refund_id)
    refund = None if wanted is None else ports.reads.refund(parse_user_id(user_id), wanted)
    if refund is None:
        raise RefundNotFound("there is no such refund")
    return refund


def _is_ours_to_check(ports: Ports, refund: Row) -> bool:
    """Put the check off, so that of many who look at the same time one asks."""
    now = ports.now()
    with ports.unit_of_work() as uow:
        taken = uow.refunds.take_due(now, until=now + ports.rules.patience, at_most=1, only=refund["id"])
        uow.commit()
    return bool(taken)

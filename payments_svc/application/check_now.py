"""The staff asks the provider now what became of what is open."""

from __future__ import annotations

from payments_svc.application.check_payment import check_payment, has_time
from payments_svc.application.check_refund import check_refund
from payments_svc.application.history_ports import By, Row
from payments_svc.application.inspect_payment import SHOWN_REFUNDS, inspect_payment
from payments_svc.application.ports import Ports
from payments_svc.domain.refund import RefundStatus

MAY_CHANGE = (RefundStatus.PENDING, RefundStatus.UNKNOWN, RefundStatus.SUCCEEDED)
"""A refund that has succeeded may have come back since."""


def check_now(ports: Ports, *, payment_id: str, by: By) -> Row:
    """Return the payment and its refunds as they are after the provider was asked.

    Without the settings' patience: an operator who asks knows something. What is asked is what a check at
    ``next_check_at`` asks, so nothing is done twice. Refunds that there is no time to ask about stay as they are: those
    that are open first, then the newest.
    """
    before = inspect_payment(ports, payment_id=payment_id, by=by)
    check_payment(ports, before["id"], by=by)
    known = [each for each in before["refunds"] if each["status"] in MAY_CHANGE]
    for refund in sorted(known, key=lambda each: each["status"] == RefundStatus.SUCCEEDED):
        if not has_time(ports):
            break
        check_refund(ports, refund["id"], by=by)
    payment = ports.history.payment(before["id"])
    return {**(payment or before), "refunds": ports.history.refunds(before["id"], limit=SHOWN_REFUNDS, before=None)}

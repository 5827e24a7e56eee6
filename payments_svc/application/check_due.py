"""Ask providers about everything whose time has come."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from payments_svc.application.check_payment import check_payment
from payments_svc.application.check_refund import check_refund
from payments_svc.application.ports import Ports
from payments_svc.domain.outcome import ProviderBusy

AT_MOST = 50
"""Checks of one run of the job."""


def check_due(ports: Ports, *, failed: Callable[[UUID, Exception], None], at_most: int = AT_MOST) -> int:
    """Return how many payments and refunds were checked.

    One after the other, each put off before it is checked, so that several processes share what is due, and one that
    dies leaves its check to be done again. Costs one question to the database while nothing is due.

    :param failed: told of a check that went wrong, which does not keep the others from being done
    """
    done = 0
    while done < at_most and ports.reads.is_anything_due(ports.now()):
        now = ports.now()
        with ports.unit_of_work() as uow:
            until = now + ports.rules.patience
            payments = uow.payments.take_due(now, until=until, at_most=1)
            refunds = uow.refunds.take_due(now, until=until, at_most=1)
            uow.commit()
        checks: list[tuple[UUID, Callable[[], bool]]] = [
            *((each, lambda id=each: check_payment(ports, id, due=True)) for each in payments),
            *((each, lambda id=each: check_refund(ports, id, due=True)) for each in refunds),
        ]
        if not checks:
            break
        for id, check in checks:
            try:
                check()
            except ProviderBusy:
                # It is due again soon; until then nobody asks this provider, and others are asked all the same.
                pass
            except Exception as exc:
                failed(id, exc)
            done += 1
    return done

"""Forget the stored answers that are old enough; the claims stay, so that no old key ever charges again."""

from __future__ import annotations

from payments_svc.application.ports import Ports

AT_ONCE = 1000


def expire_answers(ports: Ports) -> int:
    """Return how many answers were forgotten: a few in each transaction, as there may be a great many."""
    total, before = 0, ports.now() - ports.rules.answer_ttl
    while True:
        with ports.unit_of_work() as uow:
            forgotten = uow.claims.forget_answers(before, at_most=AT_ONCE)
            uow.commit()
        total += forgotten
        if forgotten < AT_ONCE:
            return total

"""Forget the stored answers that are old enough; the claims stay, so that no old key ever charges again."""

from __future__ import annotations

from payments_svc.application.ports import Ports


def expire_answers(ports: Ports) -> int:
    """Return how many answers were forgotten."""
    with ports.unit_of_work() as uow:
        forgotten = uow.claims.forget_answers(ports.now() - ports.rules.answer_ttl)
        uow.commit()
    return forgotten

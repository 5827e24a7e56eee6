"""A refund that has succeeded comes back, and the provider's message of it is lost: it is found all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lib.ids import new_id
from payments_svc.application.check_due import check_due
from payments_svc.application.check_now import check_now
from payments_svc.application.history_ports import ActorKind, By
from payments_svc.application.ports import Ports
from payments_svc.bootstrap import build_ports
from payments_svc.domain.refund import LOOKS_BACK
from payments_svc.infrastructure.sandbox import SandboxProvider
from tests.integration.payments.settled_books import as_the_provider_has_it, ask, in_balance, told_once
from tests.integration.payments.test_payments_races import CONFIG, pay, refund
from tests.integration.payments.weather import Clock

STAFF = By(ActorKind.STAFF, new_id(), "the customer's bank has sent it back")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ports(payments_sessions: Any, clock: Clock) -> Ports:
    """With a sandbox whose messages nobody brings."""
    sandbox = SandboxProvider(payments_sessions, now=clock)
    return replace(
        build_ports(CONFIG, payments_sessions), provider=sandbox, providers={sandbox.name: sandbox}, now=clock
    )


def look(ports: Ports) -> int:
    """Have the job run that looks at what is due."""
    return check_due(ports, failed=lambda id, error: pytest.fail(f"{id}: {error}"))


def in_order(sessions: Any) -> None:
    for each in (in_balance, as_the_provider_has_it, told_once):
        each(sessions)


@pytest.mark.parametrize("amount", [400, None], ids=["part", "whole"])
def test_the_staff_finds_it(ports: Ports, clock: Clock, payments_sessions: Any, amount: int | None) -> None:
    payment_id = pay(ports, payment_method="tok_refund_fail").body["id"]
    assert refund(ports, payment_id, amount=amount).body["status"] == "succeeded"
    clock.step(HOUR)
    assert look(ports) == 0
    seen = check_now(ports, payment_id=payment_id, by=STAFF)
    assert [(row["status"], row["failure_code"]) for row in seen["refunds"]] == [("failed", "expired_or_canceled_card")]
    assert seen["amount_refunded"] == 0
    in_order(payments_sessions)
    # Nothing is left to be looked at, and all of it can be given back.
    clock.step(8 * DAY)
    assert look(ports) == 0
    assert refund(ports, payment_id, idempotency_key="again").body["amount"] == 1000


def test_those_that_are_open_are_asked_about_first_and_as_many_as_there_is_time_for(ports: Ports, clock: Clock) -> None:
    payment_id = pay(ports, payment_method="tok_refund_fail").body["id"]
    for number in range(4):
        refund(ports, payment_id, amount=100, idempotency_key=str(number))
    clock.step(HOUR)
    # Two of five questions are asked in time: about the payment, which is over, nobody is.
    left = iter([timedelta(seconds=20), timedelta(seconds=10), timedelta(seconds=1)])
    hurried = replace(ports, time_left=lambda: next(left))
    seen = check_now(hurried, payment_id=payment_id, by=STAFF)
    assert [row["status"] for row in seen["refunds"]] == ["failed", "failed", "succeeded", "succeeded"]
    assert next(left, None) is None
    seen = check_now(ports, payment_id=payment_id, by=STAFF)
    assert {row["status"] for row in seen["refunds"]} == {"failed"}


def test_without_time_nobody_is_asked(ports: Ports, clock: Clock) -> None:
    payment_id = pay(ports, payment_method="tok_refund_timeout").body["id"]
    refund(ports, payment_id, amount=100)
    late = replace(ports, time_left=lambda: timedelta(0))
    seen = check_now(late, payment_id=payment_id, by=STAFF)
    assert [row["status"] for row in seen["refunds"]] == ["unknown"]


@pytest.mark.parametrize("after", LOOKS_BACK)
def test_the_job_finds_it(ports: Ports, clock: Clock, payments_sessions: Any, after: timedelta) -> None:
    """One that came back within a day on the first look, one that took longer on the second."""
    token = "tok_refund_fail" if after is LOOKS_BACK[0] else "tok_visa"
    payment_id = pay(ports, payment_method=token).body["id"]
    refund(ports, payment_id, amount=400)
    clock.step(LOOKS_BACK[0] - HOUR)
    assert look(ports) == 0
    clock.step(HOUR)
    assert look(ports) == 1
    if after is LOOKS_BACK[1]:
        assert ask(payments_sessions, "select status from refunds") == [("succeeded",)]
        with payments_sessions() as session:
            session.connection().exec_driver_sql(
                "update sandbox_refunds set status = 'failed', failure_code = 'account_closed'"
            )
            session.commit()
        clock.step(LOOKS_BACK[1] - LOOKS_BACK[0] - HOUR)
        assert look(ports) == 0
        clock.step(HOUR)
        assert look(ports) == 1
    assert ask(payments_sessions, "select status, next_check_at from refunds") == [("failed", None)]
    assert ask(payments_sessions, "select amount_refunded, amount_refunding from payments") == [(0, 0)]
    in_order(payments_sessions)


def test_one_that_has_stayed_is_asked_about_no_more_and_nothing_is_written_of_it(
    ports: Ports, clock: Clock, payments_sessions: Any
) -> None:
    payment_id = pay(ports).body["id"]
    refund(ports, payment_id, amount=400)
    written = "select count(*) from audit_entries"
    before = ask(payments_sessions, written)
    looks = []
    for _ in range(12):
        clock.step(DAY)
        looks.append(look(ports))
    assert looks == [1, *[0] * 5, 1, *[0] * 5]
    assert ask(payments_sessions, "select status, next_check_at from refunds") == [("succeeded", None)]
    assert ask(payments_sessions, written) == before
    in_order(payments_sessions)

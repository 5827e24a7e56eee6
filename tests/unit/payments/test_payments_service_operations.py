"""The RPC methods that move a payment on: what they answer, and who may call them for whom."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from lib import context
from lib.context import Actor, CallContext
from lib.every import Every
from lib.ids import new_id
from payments_svc.domain.payment_errors import CaptureNotAllowed, PaymentNotFound
from payments_svc.presentation import jobs
from payments_svc.presentation.service import PaymentsService
from tests.fakes.payments import RULES, FakeWorld
from tests.unit.payments.asking import ANN, BOB


@pytest.fixture
def world():
    return FakeWorld()


@pytest.fixture
def service(world):
    service = PaymentsService()
    service.ports = world.ports()
    return service


@pytest.fixture(autouse=True)
def actor():
    """Make an account the actor of the test's calls; returns how to make it another."""
    before = context.current_or_none()

    def become(user_id, *roles):
        account = Actor("account", id=user_id, roles=frozenset(roles))
        context.enter(CallContext(correlation_id="test", actor=account))

    become(ANN)
    yield become
    context.enter(before)


def pay(service, token="tok_visa", **changes):
    request = {"user_id": ANN, "amount": 1000, "currency": "EUR", "idempotency_key": str(new_id())}
    return service.create_payment(**{**request, "payment_method": token, **changes})["payment"]


def shown(payment, *names):
    assert json.loads(json.dumps(payment)) == payment
    return tuple(payment[name] for name in names)


def test_what_is_set_aside_says_until_when(service):
    payment = pay(service, capture_method="manual")
    assert shown(payment, "status", "capture_method", "amount_capturable", "capture_before", "next_check_at") == (
        "requires_capture",
        "manual",
        1000,
        "2026-02-07T12:00:00Z",
        None,
    )
    captured = service.capture_payment(ANN, payment["id"], "c", 400)
    assert shown(captured["payment"], "status", "amount_captured", "capture_before") == ("succeeded", 400, None)
    assert service.capture_payment(ANN, payment["id"], "c", 400) == {**captured, "replayed": True}


def test_a_customer_is_told_what_to_do_while_there_is_something_to_do(service):
    payment = pay(service, "tok_3ds")
    assert shown(payment, "status", "next_action", "pending_operation", "next_check_at") == (
        "requires_action",
        {"type": "authenticate"},
        None,
        None,
    )
    confirmed = service.confirm_payment(ANN, payment["id"], "c", authentication="succeed")["payment"]
    assert shown(confirmed, "status", "next_action") == ("succeeded", None)


def test_while_the_customers_answer_is_on_its_way_there_is_nothing_to_do(service, world):
    payment, seen = pay(service, "tok_3ds"), []
    world.provider.during = lambda: seen.append(service.get_payment(ANN, payment["id"]))
    service.confirm_payment(ANN, payment["id"], "c", authentication="succeed")
    assert shown(seen[0], "status", "next_action") == ("processing", None)
    assert seen[0]["pending_operation"]["type"] == "authenticate"


def test_what_is_under_way_is_shown_the_same_in_an_answer_and_when_it_is_read(service):
    payment = pay(service, "tok_capture_timeout", capture_method="manual")
    captured = service.capture_payment(ANN, payment["id"], "c", 400)["payment"]
    operation = {"type": "capture", "amount": 400, "status": "unknown", "next_check_at": "2026-01-31T12:05:00Z"}
    assert shown(captured, "status", "pending_operation", "next_check_at") == (
        "requires_capture",
        operation,
        operation["next_check_at"],
    )
    assert service.get_payment(ANN, payment["id"]) == captured
    assert service.list_payments(ANN)["data"] == [captured]


def test_a_canceled_payment_says_why(service):
    payment = pay(service, confirm=False)
    canceled = service.cancel_payment(ANN, payment["id"], "c", "duplicate")["payment"]
    assert shown(canceled, "status", "cancellation_reason") == ("canceled", "duplicate")


@pytest.mark.parametrize("role", ["finance", "admin"])
def test_the_staff_captures_and_cancels_for_everybody(service, actor, world, role):
    first, second = (pay(service, capture_method="manual")["id"] for _ in range(2))
    world.rules = replace(RULES, self_service=False)
    service.ports = world.ports()
    with pytest.raises(CaptureNotAllowed):
        service.capture_payment(ANN, first, "c")
    actor(BOB, role)
    assert service.capture_payment(BOB, first, "c")["payment"]["status"] == "succeeded"
    assert service.cancel_payment(BOB, second, "c")["payment"]["status"] == "canceled"
    assert world.trail[-1] == ("cancel.voided", "staff")


@pytest.mark.parametrize("role", ["finance", "admin"])
def test_nobody_confirms_for_somebody_else(service, actor, role):
    payment = pay(service, confirm=False)
    actor(BOB, role)
    with pytest.raises(PaymentNotFound):
        service.confirm_payment(BOB, payment["id"], "c")


def test_support_captures_and_cancels_nothing_of_others(service, actor):
    payment = pay(service, capture_method="manual")
    actor(BOB, "support")
    for method in (service.capture_payment, service.cancel_payment):
        with pytest.raises(PaymentNotFound):
            method(BOB, payment["id"], "c")


# --- jobs ---


def test_the_jobs_run_by_themselves():
    for name in ("check_what_is_due", "expire_answers"):
        (entrypoint,) = getattr(PaymentsService, name).nameko_entrypoints
        assert isinstance(entrypoint, Every)


def test_the_job_checks_what_is_due_and_the_other_forgets_answers(service, world):
    payment = pay(service, "tok_timeout")
    pay(service)
    world.time += timedelta(days=1)
    service.check_what_is_due()
    world.time += timedelta(days=1)
    service.expire_answers()
    assert world.payments[next(iter(world.payments))].status == "succeeded"
    assert {each.answer for each in world.claims.values()} == {None}
    assert service.get_payment(ANN, payment["id"])["status"] == "succeeded"


def test_a_check_that_goes_wrong_is_in_the_log(service, world, monkeypatch):
    lines = []
    monkeypatch.setattr(jobs._log, "error", lambda event, **fields: lines.append((event, fields["id"])), raising=False)
    payment = pay(service, "tok_timeout")
    world.time += timedelta(minutes=5)

    def fail(*_):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("payments_svc.application.check_payment.settle", fail)
    service.check_what_is_due()
    assert lines == [("check_failed", payment["id"])]

"""The RPC methods: who may call them, what they answer, and that the answer is plain JSON."""

import inspect
import json
from dataclasses import replace

import pytest

from lib import context
from lib.access import Policy
from lib.context import ANONYMOUS, SYSTEM, Actor, CallContext, NotAllowed, NotSignedIn
from lib.ids import new_id
from payments_svc.domain.customer import AccountDisabled
from payments_svc.domain.payment_errors import PaymentDeclined, PaymentNotFound
from payments_svc.domain.refund import RefundNotAllowed
from payments_svc.presentation.service import PaymentsService
from tests.fakes.payments import RULES, FakeWorld

ANN, BOB = str(new_id()), str(new_id())
WRITES = ["create_payment", "confirm_payment", "capture_payment", "cancel_payment", "refund_payment"]
METHODS = [*WRITES, "get_payment", "list_payments", "list_refunds", "get_refund"]


def account(*roles, user_id=ANN):
    return Actor("account", id=user_id, roles=frozenset(roles))


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

    def become(actor, **more):
        context.enter(CallContext(correlation_id="test", actor=actor, **more))

    become(account())
    yield become
    context.enter(before)


def pay(service, **changes):
    request = {
        "user_id": ANN,
        "amount": 1050,
        "currency": "EUR",
        "idempotency_key": "key-1",
        "payment_method": "tok_visa",
    }
    return service.create_payment(**{**request, **changes})


def entrypoint(method):
    (found,) = getattr(PaymentsService, method).nameko_entrypoints
    return found


@pytest.mark.parametrize("method", METHODS)
def test_every_method_belongs_to_the_user_that_it_names(method):
    allow: Policy = entrypoint(method).allow
    allow(account(), {"user_id": ANN})
    allow(SYSTEM, {"user_id": ANN})
    with pytest.raises(NotAllowed):
        allow(account(), {"user_id": BOB})
    with pytest.raises(NotAllowed):
        allow(account("admin"), {"user_id": BOB})
    with pytest.raises(NotSignedIn):
        allow(ANONYMOUS, {"user_id": ANN})


@pytest.mark.parametrize("method", METHODS)
def test_every_method_may_run_again_when_the_broker_repeats_it(method):
    expected = "idempotency_key" if method in WRITES else True
    assert entrypoint(method).idempotent == expected


@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_its_arguments_result_and_errors(method):
    function = getattr(PaymentsService, method)
    text = inspect.getdoc(function)
    for name in list(inspect.signature(function).parameters)[1:]:
        assert f":param {name}:" in text
    assert ":returns:" in text
    assert ":raises Fault:" in text


@pytest.mark.parametrize("event", ["registered", "disabled", "enabled", "deleted"])
def test_the_events_of_accounts_are_subscribed_to(event):
    handler = entrypoint(f"on_user_{event}")
    assert (handler.source_service, handler.event_type) == ("auth_svc", f"user.{event}")
    assert inspect.getdoc(getattr(PaymentsService, f"on_user_{event}"))


def test_a_payment_comes_as_plain_json(service):
    result = pay(service, description="two rabbits", metadata={"zeta": "1", "a": "2"}, reference="order-17")
    assert result == {
        "payment": {
            "id": result["payment"]["id"],
            "status": "succeeded",
            "amount": 1050,
            "currency": "EUR",
            "capture_method": "automatic",
            "amount_capturable": 0,
            "amount_captured": 1050,
            "amount_refunded": 0,
            "payment_method": "tok_visa",
            "decline_code": None,
            "next_action": None,
            "capture_before": None,
            "cancellation_reason": None,
            "description": "two rabbits",
            "metadata": {"a": "2", "zeta": "1"},
            "reference": "order-17",
            "provider": "fake",
            "pending_operation": None,
            "next_check_at": None,
            "created_at": "2026-01-31T12:00:00Z",
            "updated_at": "2026-01-31T12:00:00Z",
        },
        "replayed": False,
    }
    assert json.loads(json.dumps(result)) == result


def test_the_answer_to_a_repetition_is_the_same_to_the_byte(service):
    request = {"metadata": {"zeta": "1", "a": "2"}}
    first, second = pay(service, **request), pay(service, **request)
    assert json.dumps(first["payment"]) == json.dumps(second["payment"])
    assert (first["replayed"], second["replayed"]) == (False, True)


def test_a_payment_looks_the_same_however_it_is_asked_for(service):
    created = pay(service)["payment"]
    assert service.get_payment(user_id=ANN, payment_id=created["id"]) == created
    assert service.list_payments(user_id=ANN) == {"data": [created], "next_cursor": None}


def test_an_unknown_payment_tells_when_it_will_be_asked_about(service):
    assert pay(service, payment_method="tok_timeout")["payment"]["next_check_at"] == "2026-01-31T12:05:00Z"


def test_a_declined_payment_can_be_read(service):
    with pytest.raises(PaymentDeclined) as refusal:
        pay(service, payment_method="tok_expired_card")
    payment = service.get_payment(user_id=ANN, payment_id=refusal.value.details["payment_id"])
    assert (payment["status"], payment["decline_code"]) == ("requires_payment_method", "expired_card")


def test_the_next_page_is_asked_for_with_the_cursor(service):
    ids = [pay(service, idempotency_key=key)["payment"]["id"] for key in ("1", "2", "3")]
    first = service.list_payments(user_id=ANN, limit=2)
    second = service.list_payments(user_id=ANN, limit=2, cursor=first["next_cursor"])
    assert [each["id"] for each in first["data"] + second["data"]] == ids[::-1]


def test_a_refund_looks_the_same_however_it_is_asked_for(service):
    payment_id = pay(service)["payment"]["id"]
    request = {"user_id": ANN, "payment_id": payment_id, "idempotency_key": "r", "amount": 50, "reason": "too many"}
    result = service.refund_payment(**request)
    refund = result["refund"]
    assert result == {
        "refund": {
            "id": refund["id"],
            "payment_id": payment_id,
            "amount": 50,
            "currency": "EUR",
            "status": "succeeded",
            "reason": "too many",
            "failure_code": None,
            "next_check_at": None,
            "created_at": "2026-01-31T12:00:00Z",
        },
        "replayed": False,
    }
    assert json.loads(json.dumps(result)) == result
    assert service.refund_payment(**request) == {"refund": refund, "replayed": True}
    assert service.get_refund(user_id=ANN, refund_id=refund["id"]) == refund
    assert service.list_refunds(user_id=ANN, payment_id=payment_id) == {"data": [refund], "next_cursor": None}
    assert service.get_payment(user_id=ANN, payment_id=payment_id)["amount_refunded"] == 50


# --- who may refund ---


def refund(service, payment_id, user_id=ANN):
    return service.refund_payment(user_id=user_id, payment_id=payment_id, idempotency_key="r")["refund"]["status"]


@pytest.fixture
def closed(world, service):
    payment_id = pay(service)["payment"]["id"]
    world.rules = replace(RULES, self_service=False)
    service.ports = world.ports()
    return payment_id


def test_without_self_service_customers_do_not_refund(service, closed):
    with pytest.raises(RefundNotAllowed):
        refund(service, closed)


@pytest.mark.parametrize("role", ["finance", "admin"])
def test_without_self_service_the_staff_refunds_everybodys_payments(service, actor, closed, role):
    actor(account(role, user_id=BOB))
    assert refund(service, closed, user_id=BOB) == "succeeded"


def test_without_self_service_a_machine_refunds(service, actor, closed):
    actor(SYSTEM)
    assert refund(service, closed) == "succeeded"


def test_with_self_service_nobody_refunds_the_payment_of_somebody_else(service, actor):
    payment_id = pay(service)["payment"]["id"]
    actor(account("support", user_id=BOB))
    with pytest.raises(PaymentNotFound):
        refund(service, payment_id, user_id=BOB)


# --- while the account is disabled ---


@pytest.fixture
def disabled(service):
    payment_id = pay(service)["payment"]["id"]
    service.on_user_disabled({"id": str(new_id()), "sequence": 2, "data": {"id": ANN, "reason": "chargebacks"}})
    return payment_id


def test_a_disabled_account_pays_and_refunds_nothing_and_reads_on(service, disabled):
    for call in (lambda: pay(service, idempotency_key="key-2"), lambda: refund(service, disabled)):
        with pytest.raises(AccountDisabled):
            call()
    assert service.get_payment(user_id=ANN, payment_id=disabled)["status"] == "succeeded"
    assert service.list_refunds(user_id=ANN, payment_id=disabled) == {"data": [], "next_cursor": None}
    assert pay(service)["replayed"]


@pytest.mark.parametrize("role", ["finance", "admin"])
def test_the_staff_refunds_the_payment_of_a_disabled_account(service, actor, disabled, role):
    actor(account(role, user_id=BOB))
    assert refund(service, disabled, user_id=BOB) == "succeeded"


def test_support_refunds_nothing_of_a_disabled_account(service, actor, disabled):
    actor(account("support", user_id=BOB))
    with pytest.raises(PaymentNotFound):
        refund(service, disabled, user_id=BOB)

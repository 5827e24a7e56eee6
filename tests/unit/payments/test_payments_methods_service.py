"""Kept means of payment as RPC: who may call, what is answered, and that it is plain JSON without a token."""

import inspect
import json

import pytest

from lib.access import Policy
from lib.context import ANONYMOUS, SYSTEM, Actor, NotAllowed, NotSignedIn
from lib.ids import new_id
from payments_svc.domain.payment_method import PaymentMethodNotFound
from payments_svc.presentation.payment_methods import PaymentMethodRpc
from tests.fakes.payment_methods import FakeMethodWorld

ANN, BOB = str(new_id()), str(new_id())
METHODS = [name for name, each in vars(PaymentMethodRpc).items() if hasattr(each, "nameko_entrypoints")]


@pytest.fixture
def service():
    service = PaymentMethodRpc()
    service.ports = FakeMethodWorld().ports()
    return service


def entrypoint(method):
    (found,) = getattr(PaymentMethodRpc, method).nameko_entrypoints
    return found


def test_these_are_all():
    assert set(METHODS) == {
        "keep_payment_method",
        "list_payment_methods",
        "get_payment_method",
        "forget_payment_method",
        "set_default_payment_method",
    }


@pytest.mark.parametrize("method", METHODS)
def test_every_method_belongs_to_the_user_that_it_names(method):
    allow: Policy = entrypoint(method).allow
    for actor in (Actor("account", id=ANN), SYSTEM):
        allow(actor, {"user_id": ANN})
    for roles in (frozenset(), frozenset({"admin", "finance"})):
        with pytest.raises(NotAllowed):
            allow(Actor("account", id=ANN, roles=roles), {"user_id": BOB})
    with pytest.raises(NotSignedIn):
        allow(ANONYMOUS, {"user_id": ANN})


@pytest.mark.parametrize("method", METHODS)
def test_every_method_may_run_again_and_explains_itself(method):
    assert entrypoint(method).idempotent is True
    function = getattr(PaymentMethodRpc, method)
    text = inspect.getdoc(function)
    for name in list(inspect.signature(function).parameters)[1:]:
        assert f":param {name}:" in text
    assert ":returns:" in text
    assert ":raises Fault:" in text


def test_a_method_looks_the_same_however_it_is_asked_for(service):
    kept = service.keep_payment_method(user_id=ANN, provider="sandbox", token="tok_visa")
    assert kept == {
        "id": kept["id"],
        "provider": "sandbox",
        "kind": "card",
        "brand": "visa",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": 2030,
        "is_default": True,
        "created_at": "2026-01-31T12:00:00Z",
    }
    assert json.loads(json.dumps(kept)) == kept
    of_it = {"user_id": ANN, "method_id": kept["id"]}
    assert service.keep_payment_method(user_id=ANN, provider="sandbox", token="tok_visa") == kept
    assert service.get_payment_method(**of_it) == kept
    assert service.set_default_payment_method(**of_it) == kept
    assert service.list_payment_methods(user_id=ANN) == {"data": [kept], "next_cursor": None}
    assert service.forget_payment_method(**of_it) is None
    assert service.list_payment_methods(user_id=ANN, limit=1) == {"data": [], "next_cursor": None}
    with pytest.raises(PaymentMethodNotFound):
        service.get_payment_method(**of_it)


def test_the_next_page_is_asked_for_with_the_cursor(service):
    ids = [service.keep_payment_method(user_id=ANN, provider="sandbox", token=f"tok_{at}")["id"] for at in range(3)]
    first = service.list_payment_methods(user_id=ANN, limit=2)
    second = service.list_payment_methods(user_id=ANN, limit=2, cursor=first["next_cursor"])
    assert [each["id"] for each in first["data"] + second["data"]] == ids[::-1]

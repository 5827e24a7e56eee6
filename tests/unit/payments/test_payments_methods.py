"""Means of payment that customers keep: the rules and the use cases."""

from datetime import timedelta

import pytest

from lib.ids import new_id
from payments_svc.application.forget_payment_method import forget_payment_method
from payments_svc.application.get_payment_method import get_payment_method
from payments_svc.application.keep_payment_method import keep_payment_method
from payments_svc.application.list_payment_methods import list_payment_methods
from payments_svc.application.pages import InvalidCursor, InvalidLimit
from payments_svc.application.set_default_payment_method import set_default_payment_method
from payments_svc.domain.arguments import InvalidText, InvalidUserId
from payments_svc.domain.card_numbers import CardNumberRefused
from payments_svc.domain.customer import AccountDisabled, CustomerStatus
from payments_svc.domain.details import UnknownPaymentMethod
from payments_svc.domain.payment_method import (
    MOST_KEPT,
    PaymentMethodNotFound,
    TooManyPaymentMethods,
    UnknownProvider,
)
from tests.fakes.payment_methods import NOON, FakeMethodWorld

ANN, BOB = new_id(), new_id()


@pytest.fixture
def world():
    return FakeMethodWorld()


@pytest.fixture
def ports(world):
    return world.ports()


def keep(ports, token="tok_visa", user=ANN, provider="sandbox"):
    return keep_payment_method(ports, user_id=str(user), provider=provider, token=token).id


def forget(ports, method_id, user=ANN):
    forget_payment_method(ports, user_id=str(user), method_id=str(method_id))


def choose(ports, method_id, user=ANN):
    return set_default_payment_method(ports, user_id=str(user), method_id=str(method_id))


def show(ports, method_id, user=ANN):
    return get_payment_method(ports, user_id=str(user), method_id=str(method_id))


def listed(ports, user=ANN, **page):
    return list_payment_methods(ports, user_id=str(user), **page).data


def default(ports, user=ANN):
    found = [each["id"] for each in listed(ports, user, limit=100) if each["is_default"]]
    assert len(found) <= 1
    return found[0] if found else None


def test_a_kept_method_shows_what_the_provider_says_of_it_and_no_token(ports):
    method = show(ports, keep(ports))
    shown = {name: method[name] for name in ("provider", "kind", "brand", "last4", "exp_month", "exp_year")}
    assert shown == {
        "provider": "sandbox",
        "kind": "card",
        "brand": "visa",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": 2030,
    }
    assert method["created_at"] == NOON
    assert "tok_visa" not in repr(method)
    assert "tok_visa" not in repr(listed(ports))


def test_the_first_one_becomes_the_default_and_the_next_does_not(ports):
    first = keep(ports)
    keep(ports, "tok_2")
    assert default(ports) == first


def test_the_same_token_again_is_the_same_method(ports):
    first = keep(ports)
    keep(ports, "tok_2")
    assert keep(ports) == first
    assert len(listed(ports)) == 2


def test_the_same_token_of_another_provider_or_customer_is_another_method(ports):
    assert len({keep(ports), keep(ports, provider="other"), keep(ports, user=BOB)}) == 3
    assert default(ports, BOB) != default(ports)


def test_a_forgotten_token_that_is_kept_again_is_a_new_method(ports):
    first = keep(ports)
    forget(ports, first)
    assert keep(ports) != first


@pytest.mark.parametrize("provider", ["stripe", "", "SANDBOX", None, 5, ["sandbox"]])
def test_providers_that_nobody_knows_are_refused(ports, provider):
    with pytest.raises(UnknownProvider) as refusal:
        keep(ports, provider=provider)
    assert refusal.value.details["errors"][0]["pointer"] == "/provider"


@pytest.mark.parametrize(
    ("token", "error"),
    [
        ("visa", UnknownPaymentMethod),
        ("4242424242424242", CardNumberRefused),
        ("tok_4242 4242 4242 4242", CardNumberRefused),
        ("", InvalidText),
        ("x" * 256, InvalidText),
        ("tok_\0", InvalidText),
        (None, InvalidText),
        (5, InvalidText),
    ],
)
def test_tokens_that_are_none_are_refused(world, ports, token, error):
    with pytest.raises(error) as refusal:
        keep(ports, token)
    assert refusal.value.details["errors"][0]["pointer"] == "/token"
    assert "4242" not in f"{refusal.value} {refusal.value.details}"
    assert world.methods == {}


def test_a_customer_keeps_so_many_and_no_more(ports):
    kept = [keep(ports, f"tok_{number}") for number in range(MOST_KEPT)]
    with pytest.raises(TooManyPaymentMethods):
        keep(ports, "tok_more")
    assert keep(ports, "tok_7") == kept[7]
    forget(ports, kept[7])
    keep(ports, "tok_more")
    assert len(listed(ports, limit=100)) == MOST_KEPT


@pytest.mark.parametrize("status", [CustomerStatus.DISABLED, CustomerStatus.DELETED])
def test_an_account_that_may_not_be_used_keeps_and_chooses_nothing(world, ports, status):
    first, second = keep(ports), keep(ports, "tok_2")
    world.close(ANN, status)
    for refused in (lambda: keep(ports, "tok_3"), lambda: choose(ports, second)):
        with pytest.raises(AccountDisabled):
            refused()
    assert default(ports) == first
    assert len(listed(ports)) == 2


def test_a_disabled_account_may_still_forget(world, ports):
    method = keep(ports)
    world.close(ANN, CustomerStatus.DISABLED)
    forget(ports, method)
    assert listed(ports) == []


def test_another_can_be_chosen(ports):
    first, second, third = keep(ports), keep(ports, "tok_2"), keep(ports, "tok_3")
    for chosen in (second, second, third, first):
        method = choose(ports, chosen)
        assert (method.id, method.is_default) == (chosen, True)
        assert default(ports) == chosen


def test_without_the_default_the_newest_of_the_others_is_it(ports):
    first, second, third = keep(ports), keep(ports, "tok_2"), keep(ports, "tok_3")
    forget(ports, first)
    assert default(ports) == third
    forget(ports, second)
    assert default(ports) == third
    forget(ports, third)
    assert default(ports) is None


def test_after_the_last_one_the_next_is_the_default_again(ports):
    forget(ports, keep(ports))
    assert default(ports) is None
    assert keep(ports, "tok_2") == default(ports)


def test_a_forgotten_method_is_gone_with_its_token(world, ports):
    method = keep(ports)
    world.time += timedelta(hours=1)
    forget(ports, method)
    for look in (show, choose):
        with pytest.raises(PaymentMethodNotFound):
            look(ports, method)
    assert listed(ports) == []
    row = world.methods[method]
    assert (row.token, row.is_default, row.detached_at) == (None, False, world.time)


def test_to_forget_once_more_changes_nothing(world, ports):
    method, other = keep(ports), keep(ports, "tok_2")
    forget(ports, method)
    before = world.methods[method].detached_at
    world.time += timedelta(hours=1)
    forget(ports, method)
    assert world.methods[method].detached_at == before
    assert default(ports) == other


@pytest.mark.parametrize("action", [show, forget, choose])
def test_what_somebody_else_keeps_is_not_found(world, ports, action):
    theirs = keep(ports, user=BOB)
    keep(ports)
    with pytest.raises(PaymentMethodNotFound):
        action(ports, theirs)
    forget(ports, theirs, user=BOB)
    with pytest.raises(PaymentMethodNotFound):
        action(ports, theirs)


@pytest.mark.parametrize("action", [show, forget, choose])
@pytest.mark.parametrize("method_id", [new_id(), "nonsense", "", None, "{" + str(new_id()) + "}"])
def test_what_never_was_is_not_found(world, ports, action, method_id):
    with pytest.raises(PaymentMethodNotFound):
        action(ports, method_id)
    assert world.customers == {}


@pytest.mark.parametrize("action", [keep, listed, show, forget, choose])
def test_a_user_id_is_a_uuid(ports, action):
    arguments = {keep: ["tok_visa"], listed: []}.get(action, [new_id()])
    with pytest.raises(InvalidUserId):
        action(ports, *arguments, user="nobody")


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_are_newest_first_and_only_ones_own(ports, limit):
    expected = [keep(ports, f"tok_{number}") for number in range(5)][::-1]
    keep(ports, "tok_theirs", user=BOB)
    found, cursor = [], None
    while True:
        page = list_payment_methods(ports, user_id=str(ANN), limit=limit, cursor=cursor)
        found += [each["id"] for each in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == expected


def test_a_cursor_belongs_to_one_list(ports):
    for number in range(2):
        keep(ports, f"tok_{number}")
    cursor = list_payment_methods(ports, user_id=str(ANN), limit=1).next_cursor
    for user, given in ((BOB, cursor), (ANN, f"{cursor}x"), (ANN, "4242")):
        with pytest.raises(InvalidCursor):
            listed(ports, user, cursor=given)
    with pytest.raises(InvalidLimit):
        listed(ports, limit=0)

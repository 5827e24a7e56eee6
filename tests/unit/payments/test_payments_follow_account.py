"""What a customer may do while their account may not be used, and what is left of it in the end."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from uuid import UUID

import pytest

from lib.errors import DomainError
from lib.ids import new_id
from payments_svc.application.close_customer import close_customer
from payments_svc.application.create_payment import create_payment
from payments_svc.application.follow_account import follow_account
from payments_svc.application.get_payment import get_payment
from payments_svc.application.list_payments import list_payments
from payments_svc.application.open_customer import open_customer
from payments_svc.application.refund_payment import refund_payment
from payments_svc.domain.arguments import InvalidUserId
from payments_svc.domain.customer import AccountDisabled, CustomerStatus
from payments_svc.domain.idempotency import ClaimStatus
from payments_svc.domain.outcome import NotExecuted, ProviderError, ProviderUnreachable
from payments_svc.domain.payment_errors import PaymentDeclined
from payments_svc.domain.payment_status import PaymentStatus
from tests.fakes.payments import NOON, FakeWorld

ANN, BOB = str(new_id()), str(new_id())


@pytest.fixture
def world():
    return FakeWorld()


def registered(event_id=None):
    event = {"event_id": event_id or str(new_id()), "user_id": ANN}
    return lambda world: open_customer(world.ports(), **event)


def told(sequence, *, disabled, event_id=None):
    event = {"event_id": event_id or str(new_id()), "user_id": ANN, "sequence": sequence, "disabled": disabled}
    return lambda world: follow_account(world.ports(), **event)


def deleted():
    event = {"event_id": str(new_id()), "user_id": ANN}
    return lambda world: close_customer(world.ports(), **event)


def disable(world, sequence=5):
    told(sequence, disabled=True)(world)


def enable(world, sequence=6):
    told(sequence, disabled=False)(world)


def pay(world, **changes):
    request = {
        "user_id": ANN,
        "amount": 1000,
        "currency": "EUR",
        "idempotency_key": "key-1",
        "payment_method": "tok_visa",
    }
    return create_payment(world.ports(), **{**request, **changes})


def refund(world, payment_id, **changes):
    request = {"user_id": ANN, "payment_id": payment_id, "idempotency_key": "key-1", "may_refund": True}
    return refund_payment(world.ports(), **{**request, **changes})


def staff(world, payment_id, **changes):
    return refund(world, payment_id, user_id=BOB, may_refund_for_others=True, **changes)


def only(things):
    (one,) = things.values()
    return one


class Crash(BaseException):
    """The process ends here: nothing below catches it."""


def crash():
    raise Crash


def half_done(world, work):
    """Do the work in a process that dies while it asks the provider, after the provider has done it."""
    world.provider.during = crash
    with pytest.raises(Crash):
        work()
    world.provider.asked.clear()
    world.time += world.rules.patience


# --- payments ---


@pytest.mark.parametrize("payment_method", ["tok_visa", None])
def test_a_disabled_customer_pays_nothing(world, payment_method):
    registered()(world)
    disable(world)
    with pytest.raises(AccountDisabled) as refusal:
        pay(world, payment_method=payment_method)
    assert (refusal.value.kind, refusal.value.code) == ("forbidden", "account_disabled")
    assert (world.payments, world.claims, world.provider.asked, world.events) == ({}, {}, [], [])


def test_an_account_that_is_disabled_before_it_is_heard_of_pays_nothing(world):
    disable(world)
    registered()(world)
    with pytest.raises(AccountDisabled):
        pay(world)


def test_a_refusal_does_not_burn_the_key(world):
    disable(world)
    with pytest.raises(AccountDisabled):
        pay(world)
    enable(world)
    assert pay(world).body["status"] == "succeeded"


def test_others_pay_on(world):
    disable(world)
    assert pay(world, user_id=BOB).body["status"] == "succeeded"


def test_what_was_answered_before_is_answered_again(world):
    first = pay(world)
    disable(world)
    assert pay(world) == replace(first, replayed=True)
    with pytest.raises(AccountDisabled):
        pay(world, idempotency_key="key-2")
    assert len(world.provider.charged) == 1


def test_a_decline_is_told_again(world):
    with pytest.raises(PaymentDeclined):
        pay(world, payment_method="tok_declined")
    disable(world)
    with pytest.raises(PaymentDeclined):
        pay(world, payment_method="tok_declined")


def test_an_answer_that_has_expired_is_made_from_the_payment(world):
    first = pay(world)
    disable(world)
    world.time += world.rules.answer_ttl
    assert pay(world) == replace(first, replayed=True)


@pytest.mark.parametrize("token, error", [("tok_error", ProviderError), ("tok_unreachable", ProviderUnreachable)])
def test_what_was_not_executed_before_is_not_executed_after(world, token, error):
    """The key is known and nothing was charged, so trying again would charge in the name of a disabled account."""
    with pytest.raises(error):
        pay(world, payment_method=token)
    world.provider.asked.clear()
    disable(world)
    with pytest.raises(AccountDisabled):
        pay(world, payment_method=token)
    assert (world.provider.asked, world.provider.charged) == ([], {})
    assert only(world.claims).status is ClaimStatus.RELEASED


def test_what_was_charged_by_a_process_that_died_is_found(world):
    half_done(world, lambda: pay(world))
    disable(world)
    answer = pay(world)
    assert (answer.body["status"], answer.body["amount_captured"]) == ("succeeded", 1000)
    assert [question for question, _ in world.provider.asked] == ["lookup"]
    assert pay(world) == replace(answer, replayed=True)


def test_what_a_process_that_died_may_not_have_charged_is_not_charged_but_asked_about(world):
    half_done(world, lambda: pay(world, payment_method="tok_error"))
    disable(world)
    answer = pay(world, payment_method="tok_error")
    assert [question for question, _ in world.provider.asked] == ["lookup"]
    assert world.provider.charged == {}
    assert answer.body["status"] == "unknown"
    assert only(world.payments).next_check_at == world.time + world.rules.check_schedule[0]
    assert only(world.payments).status is PaymentStatus.UNKNOWN


def test_a_payment_that_is_under_way_when_the_account_is_disabled_comes_to_its_end(world):
    world.provider.during = lambda: disable(world)
    assert pay(world).body["status"] == "succeeded"
    assert only(world.customers).status is CustomerStatus.DISABLED


def test_bad_requests_are_told_as_such(world):
    disable(world)
    with pytest.raises(DomainError) as refusal:
        pay(world, amount=0)
    assert refusal.value.code == "invalid_amount"


def test_a_disabled_customers_payments_can_be_read(world):
    payment_id = pay(world).body["id"]
    disable(world)
    assert str(get_payment(world.ports(), user_id=ANN, payment_id=payment_id)["id"]) == payment_id
    assert len(list_payments(world.ports(), user_id=ANN).data) == 1


# --- refunds ---


def test_a_disabled_customer_refunds_nothing(world):
    payment_id = pay(world).body["id"]
    disable(world)
    with pytest.raises(AccountDisabled):
        refund(world, payment_id)
    assert (world.refunds, world.provider.refunded) == ({}, {})
    enable(world)
    assert refund(world, payment_id).body["status"] == "succeeded"


def test_the_staff_refunds_a_disabled_customers_payment(world):
    payment_id = pay(world).body["id"]
    disable(world)
    assert staff(world, payment_id, amount=400).body["status"] == "succeeded"
    assert only(world.payments).amount_refunded == 400


def test_a_refund_that_was_answered_before_is_answered_again(world):
    payment_id = pay(world).body["id"]
    first = refund(world, payment_id)
    disable(world)
    assert refund(world, payment_id) == replace(first, replayed=True)


def test_a_refund_that_was_not_executed_before_is_not_executed_after(world):
    payment_id = pay(world).body["id"]
    world.provider.answer = NotExecuted("provider_unreachable")
    with pytest.raises(ProviderUnreachable):
        refund(world, payment_id)
    world.provider.asked.clear()
    disable(world)
    with pytest.raises(AccountDisabled):
        refund(world, payment_id)
    assert world.provider.asked == []


def test_a_refund_that_was_left_half_done_is_completed(world):
    payment_id = pay(world).body["id"]
    half_done(world, lambda: refund(world, payment_id))
    disable(world)
    assert refund(world, payment_id).body["status"] == "succeeded"
    assert sum(world.provider.refunded.values()) == 1000


# --- order and repetition ---


def test_an_event_counts_once(world):
    once = told(2, disabled=True)
    once(world)
    commits = world.database.commits
    once(world)
    assert world.database.commits == commits


def test_both_events_of_an_account_make_one_customer(world):
    for event in (told(2, disabled=True), registered(), told(3, disabled=False)):
        event(world)
    assert only(world.customers).id == UUID(ANN)


def test_an_event_about_no_account_is_not_taken_as_done(world):
    for call in (
        lambda: follow_account(world.ports(), event_id=str(new_id()), user_id="nobody", sequence=1, disabled=True),
        lambda: close_customer(world.ports(), event_id=str(new_id()), user_id="nobody"),
    ):
        with pytest.raises(InvalidUserId):
            call()
    assert world.database.commits == 0


def outcome(order, before=()):
    world = FakeWorld()
    for event in (*before, *order):
        event(world)
    customers = [(each.status, each.status_sequence) for each in world.customers.values()]
    return customers, list(world.tombstones)


def test_every_order_of_a_life_ends_the_same():
    life = [registered(), told(2, disabled=True), told(3, disabled=False), told(4, disabled=True)]
    for order in permutations(life):
        assert outcome([*order, *order]) == ([(CustomerStatus.DISABLED, 4)], [])
        assert outcome([*order, told(5, disabled=False)]) == ([(CustomerStatus.ACTIVE, 5)], [])


def test_every_order_of_a_life_that_ends_leaves_a_tombstone_only():
    life = [registered(), told(2, disabled=True), told(3, disabled=False), deleted()]
    for order in permutations(life):
        assert outcome([*order, *order]) == ([], [UUID(ANN)])


def test_a_customer_with_payments_stays_closed_beside_them():
    life = [registered(), told(2, disabled=True), told(3, disabled=False), deleted()]
    for order in permutations(life):
        (customer,), tombstones = outcome(order, before=[pay])
        assert (customer[0], tombstones) == (CustomerStatus.DELETED, [UUID(ANN)])


# --- the end ---


@pytest.mark.parametrize("paid_before", [True, False])
def test_a_deleted_account_pays_and_refunds_nothing(world, paid_before):
    payment_id = pay(world).body["id"] if paid_before else None
    deleted()(world)
    with pytest.raises(AccountDisabled):
        pay(world, idempotency_key="key-2")
    assert len(world.payments) == paid_before
    if payment_id is not None:
        with pytest.raises(AccountDisabled):
            refund(world, payment_id)
        assert staff(world, payment_id).body["status"] == "succeeded"
        assert pay(world).replayed


def test_an_account_ends_once(world):
    end = deleted()
    end(world)
    world.time += timedelta(days=1)
    end(world)
    deleted()(world)
    assert world.tombstones == {UUID(ANN): NOON}


def test_others_are_left_alone(world):
    pay(world, user_id=BOB)
    deleted()(world)
    assert [str(each) for each in world.customers] == [BOB]

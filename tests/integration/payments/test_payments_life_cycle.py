"""An account's life told to PostgreSQL while its customer pays: every order, many at once, and no payment after."""

import threading
from contextlib import contextmanager
from itertools import permutations
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lib.errors import DomainError
from lib.ids import new_id
from payments_svc.application.close_customer import close_customer
from payments_svc.application.follow_account import follow_account
from payments_svc.application.open_customer import open_customer
from payments_svc.bootstrap import build_ports
from payments_svc.domain.customer import AccountDisabled, Customer
from tests.integration.payments.test_payments_races import CONFIG, at_once, pay, refund
from tests.support.waiting import eventually

NAMES = ("registered", "disabled", "enabled", "deleted")
CUSTOMERS = "select status, status_sequence, count(*) from customers group by 1, 2"


@pytest.fixture
def ports(payments_sessions):
    return build_ports(CONFIG, payments_sessions)


@pytest.fixture
def ask(payments_sessions):
    """``ask(sql)`` → the rows."""

    def ask(query):
        with payments_sessions() as session:
            return [tuple(row) for row in session.execute(sa.text(query))]

    return ask


def life(ports, user_id):
    """Return what may happen to one account: name → call; each call is one event, and may be repeated."""

    def status(sequence, disabled):
        event = {"event_id": str(new_id()), "user_id": user_id, "sequence": sequence, "disabled": disabled}
        return lambda: follow_account(ports, **event)

    first, last = ({"event_id": str(new_id()), "user_id": user_id} for _ in range(2))
    return {
        "registered": lambda: open_customer(ports, **first),
        "disabled": status(2, True),
        "enabled": status(3, False),
        "disabled again": status(4, True),
        "deleted": lambda: close_customer(ports, **last),
    }


def test_every_order_ends_in_the_same_state(ports, ask):
    orders = list(permutations((*NAMES[:-1], "disabled again")))
    for order in orders:
        events = life(ports, str(new_id()))
        for name in order:
            events[name]()
    assert ask(CUSTOMERS) == [("disabled", 4, len(orders))]


@pytest.mark.parametrize("paid", [True, False], ids=["with a payment", "without payments"])
def test_every_order_in_which_an_account_ends_ends_in_the_same_state(ports, ask, paid):
    orders = list(permutations(NAMES))
    for order in orders:
        user_id = str(new_id())
        if paid:
            pay(ports, user_id=user_id, payment_method=None)
        events = life(ports, user_id)
        for name in order:
            events[name]()
    assert ask("select status, count(*) from customers group by 1") == ([("deleted", len(orders))] if paid else [])
    assert ask("select count(*) from tombstones") == [(len(orders),)]
    assert ask("select count(*) from payments") == [(len(orders) * paid,)]


def test_a_whole_life_at_once_ends_in_the_same_state(ports, ask):
    for count in range(1, 11):
        events = [each for name, each in life(ports, str(new_id())).items() if name != "deleted"]
        at_once(12, lambda number, events=events: events[number % len(events)]())
        assert ask(CUSTOMERS) == [("disabled", 4, count)]


def test_a_whole_life_with_its_end_at_once_leaves_a_tombstone_only(ports, ask):
    for count in range(1, 11):
        events = list(life(ports, str(new_id())).values())
        at_once(10, lambda number, events=events: events[number % len(events)]())
        assert ask("select count(*) from tombstones") == [(count,)]
    assert ask("select 1 from customers") == []


@pytest.mark.parametrize("name", ["disabled", "deleted"])
def test_twenty_deliveries_of_one_event_have_one_effect(ports, ask, name):
    events = life(ports, str(new_id()))
    at_once(20, lambda _: events[name]())
    assert ask("select count(*) from inbox") == [(1,)]
    assert ask(CUSTOMERS) == ([("disabled", 2, 1)] if name == "disabled" else [])


# --- payments and the status ---


@pytest.mark.parametrize("name", ["disabled", "deleted"])
def test_no_payment_is_claimed_after_the_news_are_applied(ports, ask, name):
    """Twenty pay on until they are refused, as whoever begins to pay after the news were applied is.

    Nor do they keep the news waiting: with shared locks on the customer (FOR SHARE) these never had their turn.
    """
    user_id = str(new_id())
    pay(ports, user_id=user_id)
    news, applied = life(ports, user_id)[name], threading.Event()

    def work(number):
        if number == 0:
            news()
            applied.set()
            return 0
        for turn in range(200):
            too_late = applied.is_set()
            try:
                pay(ports, user_id=user_id, idempotency_key=f"key-{number}-{turn}", payment_method=None)
            except AccountDisabled:
                return turn
            assert not too_late, "a payment was let through"
        raise AssertionError("nobody was refused")

    paid = at_once(20, work)
    assert ask("select count(*) from payments") == ask("select count(*) from idempotency_claims") == [(sum(paid) + 1,)]


@contextmanager
def meanwhile(sessions, call):
    """Run `call` in a thread and go on once it waits for a lock; gives what came of it, once the block is left."""
    results = []

    def run():
        try:
            call()
            results.append("done")
        except DomainError as refusal:
            results.append(refusal.code)

    thread = threading.Thread(target=run)
    thread.start()
    waits = sa.text(
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        " and pid <> pg_backend_pid()"
    )

    def waiting():
        # A look of its own each time: within one transaction PostgreSQL shows the same picture again.
        with sessions() as session:
            return session.execute(waits).first()

    eventually(waiting)
    yield results
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("known", [True, False], ids=["known before", "never heard of"])
def test_a_payment_waits_for_news_that_are_being_applied_and_is_refused(payments_sessions, ports, ask, known):
    user_id = str(new_id())
    if known:
        life(ports, user_id)["registered"]()
    with ports.unit_of_work() as applying:
        applying.customers.add_or_get(Customer(UUID(user_id), ports.now())).disable(sequence=2)
        applying.session.flush()
        with meanwhile(payments_sessions, lambda: pay(ports, user_id=user_id)) as results:
            applying.commit()
    assert results == ["account_disabled"]
    assert ask("select 1 from payments") == ask("select 1 from idempotency_claims") == []


@pytest.mark.parametrize("known", [True, False], ids=["known before", "never heard of"])
def test_a_payment_waits_for_the_end_of_the_account_and_is_refused(payments_sessions, ports, ask, known):
    user_id = str(new_id())
    if known:
        life(ports, user_id)["registered"]()
    with ports.unit_of_work() as ending:
        customer = ending.customers.add_or_get(Customer(UUID(user_id), ports.now()))
        customer.close()
        ending.customers.bury(customer, ports.now())
        ending.session.flush()
        with meanwhile(payments_sessions, lambda: pay(ports, user_id=user_id)) as results:
            ending.commit()
    assert results == ["account_disabled"]
    assert ask("select 1 from payments") == ask("select 1 from customers") == []


@pytest.mark.parametrize("known", [True, False], ids=["known before", "never heard of"])
@pytest.mark.parametrize("name", ["disabled", "deleted"])
def test_news_wait_for_a_payment_that_is_being_claimed(payments_sessions, ports, ask, name, known):
    user_id = str(new_id())
    events = life(ports, user_id)
    if known:
        events["registered"]()
    with ports.unit_of_work() as claiming:
        claiming.customers.add_or_get(Customer(UUID(user_id), ports.now())).check_active()
        with meanwhile(payments_sessions, events[name]) as results:
            assert results == []
            claiming.commit()
    assert results == ["done"]
    with pytest.raises(DomainError) as refusal:
        pay(ports, user_id=user_id)
    assert refusal.value.code == "account_disabled"


def test_the_staff_refunds_while_a_customer_is_paying(ports, ask):
    """The lock on a customer is for those who act in its name."""
    user_id = str(new_id())
    payment_id = pay(ports, user_id=user_id).body["id"]
    with ports.unit_of_work() as claiming:
        claiming.customers.add_or_get(Customer(UUID(user_id), ports.now()))
        refund(ports, payment_id, user_id=str(new_id()), may_refund_for_others=True)
    assert ask("select amount_refunded from payments") == [(1000,)]


def test_a_disabled_customer_gets_old_answers_and_the_staff_refunds(ports, ask):
    user_id = str(new_id())
    first = pay(ports, user_id=user_id)
    life(ports, user_id)["disabled"]()
    assert pay(ports, user_id=user_id).body == first.body
    for call in (
        lambda: pay(ports, user_id=user_id, idempotency_key="key-2"),
        lambda: refund(ports, first.body["id"], user_id=user_id),
    ):
        with pytest.raises(DomainError) as refusal:
            call()
        assert (refusal.value.kind, refusal.value.code) == ("forbidden", "account_disabled")
    staff = refund(ports, first.body["id"], user_id=str(new_id()), may_refund_for_others=True)
    assert staff.body["status"] == "succeeded"
    assert ask("select amount_refunded from payments") == [(1000,)]
    assert ask("select count(*) from idempotency_claims") == [(2,)]


@pytest.mark.parametrize(
    "statement", ["delete from tombstones", "update tombstones set id = id", "truncate tombstones"]
)
def test_the_running_service_takes_no_tombstone_away(payments_sessions, ports, ask, statement):
    life(ports, str(new_id()))["deleted"]()
    with payments_sessions() as session, pytest.raises(DBAPIError, match="permission denied"):
        session.execute(sa.text(statement))
    assert ask("select count(*) from tombstones") == [(1,)]

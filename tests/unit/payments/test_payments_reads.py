"""Looking at payments and refunds, and the small jobs around them."""

from datetime import timedelta

import pytest

from lib.ids import new_id
from payments_svc.application.create_payment import create_payment
from payments_svc.application.expire_answers import expire_answers
from payments_svc.application.get_payment import get_payment
from payments_svc.application.get_refund import get_refund
from payments_svc.application.list_payments import list_payments
from payments_svc.application.list_refunds import list_refunds
from payments_svc.application.open_customer import open_customer
from payments_svc.application.pages import InvalidCursor, InvalidLimit
from payments_svc.application.refund_payment import refund_payment
from payments_svc.domain.arguments import InvalidUserId
from payments_svc.domain.payment_errors import PaymentNotFound
from payments_svc.domain.refund import RefundNotFound
from tests.fakes.payments import FakeWorld

ANN, BOB = str(new_id()), str(new_id())


@pytest.fixture
def world():
    return FakeWorld()


@pytest.fixture
def ports(world):
    return world.ports()


def paid(ports, user_id=ANN, **changes):
    request = {"amount": 1000, "currency": "EUR", "idempotency_key": str(new_id()), "payment_method": "tok_visa"}
    return create_payment(ports, user_id=user_id, **{**request, **changes}).body["id"]


def refunded(ports, payment_id, amount=100):
    answer = refund_payment(
        ports,
        user_id=ANN,
        payment_id=payment_id,
        idempotency_key=str(new_id()),
        may_refund=True,
        amount=amount,
    )
    return answer.body["id"]


def ids(page):
    return [str(row["id"]) for row in page.data]


def test_a_payment_is_shown_to_its_customer(ports):
    payment_id = paid(ports)
    payment = get_payment(ports, user_id=ANN, payment_id=payment_id)
    assert (str(payment["id"]), payment["status"], payment["amount"]) == (payment_id, "succeeded", 1000)


@pytest.mark.parametrize("payment_id", ["nonsense", str(new_id()), None])
def test_a_payment_that_is_not_there_is_not_found(ports, payment_id):
    with pytest.raises(PaymentNotFound):
        get_payment(ports, user_id=ANN, payment_id=payment_id)


def test_the_payment_of_somebody_else_is_not_found_either(ports):
    with pytest.raises(PaymentNotFound):
        get_payment(ports, user_id=BOB, payment_id=paid(ports))


def test_a_refund_is_shown_to_its_customer(ports):
    refund_id = refunded(ports, paid(ports))
    assert get_refund(ports, user_id=ANN, refund_id=refund_id)["amount"] == 100


@pytest.mark.parametrize("refund_id", ["nonsense", str(new_id()), 5])
def test_a_refund_that_is_not_there_is_not_found(ports, refund_id):
    with pytest.raises(RefundNotFound):
        get_refund(ports, user_id=ANN, refund_id=refund_id)


def test_the_refund_of_somebody_else_is_not_found_either(ports):
    with pytest.raises(RefundNotFound):
        get_refund(ports, user_id=BOB, refund_id=refunded(ports, paid(ports)))


def test_payments_are_listed_newest_first_and_only_ones_own(ports):
    older, _, newer = paid(ports), paid(ports, BOB), paid(ports)
    page = list_payments(ports, user_id=ANN)
    assert (ids(page), page.next_cursor) == ([newer, older], None)


def test_who_has_none_gets_an_empty_list(ports):
    page = list_payments(ports, user_id=ANN)
    assert (page.data, page.next_cursor) == ([], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 100])
def test_the_pages_make_up_the_list(ports, limit):
    expected = [paid(ports) for _ in range(6)][::-1]
    found, cursor = [], None
    while True:
        page = list_payments(ports, user_id=ANN, limit=limit, cursor=cursor)
        assert 0 < len(page.data) <= limit
        found += ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == expected


def test_a_new_payment_does_not_shift_the_next_page(ports):
    expected = [paid(ports) for _ in range(4)][::-1]
    first = list_payments(ports, user_id=ANN, limit=2)
    paid(ports)
    second = list_payments(ports, user_id=ANN, limit=2, cursor=first.next_cursor)
    assert ids(first) + ids(second) == expected


@pytest.mark.parametrize("limit", [0, -1, 101, 1.5, "20", True, None])
def test_a_limit_has_limits(ports, limit):
    with pytest.raises(InvalidLimit):
        list_payments(ports, user_id=ANN, limit=limit)


@pytest.fixture
def cursor(ports):
    for _ in range(2):
        paid(ports)
    return list_payments(ports, user_id=ANN, limit=1).next_cursor


def test_a_cursor_with_any_character_changed_is_refused(ports, cursor):
    for place, character in enumerate(cursor):
        changed = cursor[:place] + ("A" if character != "A" else "B") + cursor[place + 1 :]
        with pytest.raises(InvalidCursor):
            list_payments(ports, user_id=ANN, cursor=changed)


@pytest.mark.parametrize("tampered", ["", "x", "=", "ö", "A" * 28, "A" * 1000, 5, ["a"], str(new_id())])
def test_what_never_was_a_cursor_is_refused(ports, tampered):
    with pytest.raises(InvalidCursor):
        list_payments(ports, user_id=ANN, cursor=tampered)


@pytest.mark.parametrize(
    "change", [str.lower, lambda text: text + "=", lambda text: text[:-1], lambda text: text + "\n"]
)
def test_a_cursor_has_one_spelling(ports, cursor, change):
    with pytest.raises(InvalidCursor):
        list_payments(ports, user_id=ANN, cursor=change(cursor))


def test_a_cursor_is_of_one_list(ports, cursor):
    with pytest.raises(InvalidCursor):
        list_payments(ports, user_id=BOB, cursor=cursor)
    with pytest.raises(InvalidCursor):
        list_refunds(ports, user_id=ANN, payment_id=paid(ports), cursor=cursor)


def test_the_refunds_of_a_payment_are_listed_in_pages(ports):
    payment_id, other = paid(ports), paid(ports)
    expected = [refunded(ports, payment_id) for _ in range(3)][::-1]
    refunded(ports, other)
    first = list_refunds(ports, user_id=ANN, payment_id=payment_id, limit=2)
    second = list_refunds(ports, user_id=ANN, payment_id=payment_id, limit=2, cursor=first.next_cursor)
    assert ids(first) + ids(second) == expected
    assert second.next_cursor is None


def test_the_refunds_of_somebody_elses_payment_are_not_found(ports):
    with pytest.raises(PaymentNotFound):
        list_refunds(ports, user_id=BOB, payment_id=paid(ports))


def test_a_new_account_becomes_a_customer(world, ports):
    open_customer(ports, event_id="event-1", user_id=ANN)
    (customer,) = world.customers.values()
    assert (str(customer.id), customer.created_at) == (ANN, world.time)


def test_an_event_counts_once(world, ports):
    open_customer(ports, event_id="event-1", user_id=ANN)
    commits = world.database.commits
    open_customer(ports, event_id="event-1", user_id=ANN)
    assert world.database.commits == commits


def test_a_customer_who_has_paid_already_stays_as_it_is(world, ports):
    paid(ports)
    since = world.time
    world.time += timedelta(hours=1)
    open_customer(ports, event_id="event-1", user_id=ANN)
    (customer,) = world.customers.values()
    assert customer.created_at == since


def test_an_event_about_nobody_is_refused(world, ports):
    with pytest.raises(InvalidUserId):
        open_customer(ports, event_id="event-1", user_id="nobody")
    assert world.database.committed.inbox == set()


def test_old_answers_are_forgotten_and_their_keys_are_not(world, ports):
    paid(ports, idempotency_key="old")
    world.time += world.rules.answer_ttl
    paid(ports, idempotency_key="new")
    assert expire_answers(ports) == 1
    assert {each.key: each.answer is not None for each in world.claims.values()} == {"old": False, "new": True}
    asked = len(world.provider.asked)
    paid(ports, idempotency_key="old")
    assert len(world.provider.asked) == asked
    assert expire_answers(ports) == 0


def test_however_many_answers_are_old_each_transaction_forgets_a_few(world, ports, monkeypatch):
    monkeypatch.setattr("payments_svc.application.expire_answers.AT_ONCE", 2)
    for number in range(5):
        paid(ports, idempotency_key=str(number))
    world.time += world.rules.answer_ttl
    commits = world.database.commits
    assert expire_answers(ports) == 5
    assert world.database.commits - commits == 3

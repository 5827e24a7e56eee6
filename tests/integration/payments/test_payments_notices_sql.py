"""Messages from providers on PostgreSQL, and their fake, keep the same promises; and what only a database can show."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest
import sqlalchemy as sa

from lib.ids import lowest_id_at, new_id, utc_now
from payments_svc.application.cancel_payment import cancel_payment
from payments_svc.application.check_payment import check_payment
from payments_svc.application.confirm_payment import confirm_payment
from payments_svc.application.create_payment import create_payment
from payments_svc.application.process_notice import process_notice
from payments_svc.application.receive_notice import receive_notice
from payments_svc.application.refund_payment import refund_payment
from payments_svc.bootstrap import build_ports
from payments_svc.domain.customer import Customer
from payments_svc.domain.details import Details
from payments_svc.domain.money import Money
from payments_svc.domain.notice import NoticeStatus, ParkedFor, StoredNotice
from payments_svc.domain.orders import GiveBack
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Succeeded
from payments_svc.domain.payment import Payment
from payments_svc.infrastructure import signatures
from payments_svc.infrastructure.breaker import Breaker
from payments_svc.infrastructure.sandbox import Latency, SandboxProvider
from payments_svc.infrastructure.sandbox_rules import Terms
from payments_svc.infrastructure.sql import PaymentsUnitOfWork
from payments_svc.infrastructure.tables import map_domain
from tests.fakes.payments import DEADLINES, NOON, FakeDatabase, FakeUnitOfWork
from tests.integration.payments.test_payments_races import CONFIG
from tests.support.arrivals import arrivals

SECRET = CONFIG["SANDBOX_WEBHOOK_SECRET"]
ANN = str(new_id())


@pytest.fixture(params=["fake", "sql"])
def begin(request):
    """``with begin() as uow``: a transaction."""
    if request.param == "fake":
        database = FakeDatabase()
        return lambda: FakeUnitOfWork(database)
    sessions = request.getfixturevalue("payments_sessions")
    map_domain()
    return lambda: PaymentsUnitOfWork(sessions)


def notice(event_id="evt_1", **changes):
    made = StoredNotice(
        id=new_id(),
        provider="sandbox",
        event_id=event_id,
        type="payment.succeeded",
        payload={"id": event_id, "data": {"é": [1, None]}},
        correlation_id="req-1",
        received_at=NOON,
    )
    made = replace(made, **changes)
    made.ask_for_processing()
    return made


def keep(begin, *notices):
    with begin() as uow:
        added = [uow.notices.add(each) for each in notices]
        uow.commit()
    return added


def values(notice):
    return {each.name: getattr(notice, each.name) for each in fields(notice)}


# --- the contract ---


def test_a_message_is_read_as_it_was_written(begin):
    made = notice()
    assert keep(begin, made) == [True]
    with begin() as uow:
        assert values(uow.notices.get(made.id)) == values(made)
        assert uow.notices.get(new_id()) is None


def test_an_event_of_a_provider_is_added_once(begin):
    assert keep(begin, notice()) == [True]
    assert keep(begin, notice(), notice("evt_2"), notice(provider="other")) == [False, True, True]


def test_what_is_not_committed_is_not_there(begin):
    made = notice()
    with begin() as uow:
        uow.notices.add(made)
    with begin() as uow:
        assert uow.notices.get(made.id) is None


def test_what_became_of_it_is_saved(begin):
    done, parked = notice(), notice("evt_2")
    keep(begin, done, parked)
    payment_id = new_id()
    with begin() as uow:
        found = uow.notices.get(done.id)
        assert found.begin()
        found.process(payment_id, NOON + timedelta(seconds=1))
        uow.notices.save(found)
        other = uow.notices.get(parked.id)
        other.park(ParkedFor.UNKNOWN_TYPE, NOON)
        uow.notices.save(other)
        uow.commit()
    with begin() as uow:
        assert values(uow.notices.get(done.id)) == values(found)
        assert values(uow.notices.get(parked.id)) == values(other)
        other.dismiss("nothing of ours", NOON)
        uow.notices.save(other)
        uow.commit()
    with begin() as uow:
        assert values(uow.notices.get(parked.id)) == values(other)


def test_they_are_listed_newest_first(begin):
    made = [notice(f"evt_{number}", type="a" if number % 2 else "b") for number in range(4)]
    keep(begin, *made)
    with begin() as uow:
        found = uow.notices.find(limit=3)
        assert [each["id"] for each in found] == [each.id for each in reversed(made)][:3]
        assert set(found[0]) == {each.name for each in fields(StoredNotice)} - {"payload", "sequence"}
        assert [each["id"] for each in uow.notices.find(type="a", limit=9)] == [made[3].id, made[1].id]
        assert [each["id"] for each in uow.notices.find(limit=9, before=made[1].id)] == [made[0].id]
        assert uow.notices.find(status=NoticeStatus.PARKED, limit=9) == []


BEFORE = NOON - timedelta(seconds=1)


def forget(begin, **which):
    """Return how many were forgotten each time, until there were none."""
    gone = []
    while not gone or gone[-1]:
        with begin() as uow:
            gone.append(uow.notices.forget(NOON, **which, at_most=3))
            uow.commit()
    return gone


def test_what_was_done_with_before_a_moment_is_forgotten_a_few_at_a_time(begin):
    old = [notice(f"old_{number}", id=uuid_of(number)) for number in range(8)]
    for each in old[:5]:
        each.process(new_id(), BEFORE)
    for each in old[3:7]:
        each.park(ParkedFor.UNKNOWN_TYPE, BEFORE)
    old[3].dismiss("nothing of ours", BEFORE)
    old[4].dismiss("nothing of ours", NOON)
    old[5].park(ParkedFor.UNKNOWN_OBJECT, BEFORE)
    fresh = notice("fresh")
    fresh.process(new_id(), BEFORE)
    keep(begin, *old, fresh)
    assert forget(begin) == [3, 1, 0]
    with begin() as uow:
        # Dismissed only now; two wait for a person, one for its processing.
        assert [each["id"] for each in uow.notices.find(limit=9)] == [fresh.id, *(each.id for each in old[:3:-1])]
    assert forget(begin, parked_for=ParkedFor.UNKNOWN_TYPE) == [1, 0]
    with begin() as uow:
        assert [each["id"] for each in uow.notices.find(limit=9)] == [fresh.id, old[7].id, old[5].id, old[4].id]


def uuid_of(number):
    """An id that was made some days before noon."""
    return UUID(int=lowest_id_at(NOON - timedelta(days=9)).int + (7 << 76) + (2 << 62) + number)


def test_payments_and_refunds_are_found_by_what_the_provider_knows_them_by(begin):
    customer = new_id()
    payment = Payment.open(id=new_id(), customer_id=customer, money=Money(1000, "EUR"), details=Details(), now=NOON)
    attempt_id = new_id()
    payment.begin_charge(attempt_id, payment_method="tok_visa", provider="sandbox", now=NOON, check_at=NOON)
    payment.settle(Succeeded(), now=NOON, deadlines=DEADLINES)
    open_refund = {"amount": 100, "reason": None, "requested_by": customer, "now": NOON, "check_at": NOON}
    refund = payment.open_refund(id=new_id(), attempt_id=new_id(), **open_refund)
    canceled = payment.open_refund(id=new_id(), attempt_id=new_id(), **open_refund)
    payment.settle_refund(canceled, NotExecuted("provider_error"), now=NOON, deadlines=DEADLINES)
    again = payment.open_refund(id=new_id(), attempt_id=canceled.attempt_id, **open_refund)
    payment.settle_refund(again, NotExecuted("provider_error"), now=NOON, deadlines=DEADLINES)
    with begin() as uow:
        uow.customers.add_or_get(Customer(customer, NOON))
        uow.payments.add(payment)
        uow.refunds.add(refund)
        uow.refunds.add(canceled)
        uow.refunds.add(again)
        uow.commit()
    with begin() as uow:
        find, find_refund = uow.notices.payment_of, uow.notices.refund_of
        assert find("sandbox", attempt_id, None) == payment.id
        assert find("sandbox", None, payment.id) == find("sandbox", new_id(), payment.id) == payment.id
        assert find("sandbox", new_id(), None) is find("sandbox", None, None) is find("sandbox", None, new_id()) is None
        assert find("other", attempt_id, payment.id) is None
        assert find_refund("sandbox", refund.attempt_id) == refund.id
        # The last of two that were called off, until another one takes their place.
        assert find_refund("sandbox", canceled.attempt_id) == again.id
        assert find_refund("sandbox", new_id()) is find_refund("sandbox", None) is None
        assert find_refund("other", refund.attempt_id) is find_refund("other", canceled.attempt_id) is None
    with begin() as uow:
        payment = uow.payments.get(payment.id)
        made = payment.open_refund(id=UUID(int=1), attempt_id=canceled.attempt_id, **open_refund)
        uow.refunds.add(made)
        uow.commit()
    with begin() as uow:
        assert uow.notices.refund_of("sandbox", canceled.attempt_id) == made.id


# --- on PostgreSQL ---


@pytest.fixture
def ports(payments_sessions):
    return build_ports({**CONFIG, "SANDBOX_ASYNC_SECONDS": 0}, payments_sessions)


@pytest.fixture
def ask(payments_sessions):
    def ask(query, **parameters):
        with payments_sessions() as session:
            return [tuple(row) for row in session.execute(sa.text(query), parameters)]

    return ask


def receive(ports, body):
    body = body.encode() if isinstance(body, str) else body
    signature = signatures.sign(body, [SECRET], utc_now())
    return receive_notice(ports, provider="sandbox", body=body, signature=signature, correlation_id="req-1")


def deliver(ports, body):
    receipt = receive(ports, body)
    return process_notice(ports, notice_id=str(receipt.id)).status if receipt.is_new else None


def pay(ports, token="tok_visa", **changes):
    request = {"user_id": ANN, "amount": 1000, "currency": "EUR", "payment_method": token}
    request["idempotency_key"] = str(new_id())
    return create_payment(ports, **{**request, **changes}).body


def test_ten_copies_at_once_are_one(ports, ask):
    payment = pay(ports, "tok_async")
    ports.simulation._sandbox.settle_due()
    ((body,),) = ask("select body from sandbox_messages where type = 'payment.succeeded'")
    start = Barrier(10)

    def copy(_):
        start.wait()
        receipt = receive(ports, body)
        if receipt.is_new:
            process_notice(ports, notice_id=str(receipt.id))
        return receipt.is_new

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(copy, range(10))) == [False] * 9 + [True]
    assert ask("select status, attempts, payment_id::text from webhook_notices") == [("processed", 1, payment["id"])]
    assert ask("select status from payments") == [("succeeded",)]
    assert ask("select count(*) from outbox where type = 'payment.succeeded'") == [(1,)]


def test_ten_workers_with_one_message_have_one_effect(ports, ask):
    pay(ports, "tok_async")
    ports.simulation._sandbox.settle_due()
    ((body,),) = ask("select body from sandbox_messages where type = 'payment.succeeded'")
    id = str(receive(ports, body).id)
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda _: process_notice(ports, notice_id=id), range(10)))
    assert {each.status for each in results} == {NoticeStatus.PROCESSED}
    assert ask("select count(*) from outbox where type = 'payment.succeeded'") == [(1,)]
    assert ask("select count(distinct transaction_id) from ledger_entries") == [(1,)]


class Clock:
    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return utc_now() + self.ahead


class LosesRefundAnswers(SandboxProvider):
    """What becomes of a refund is known by its message, or when somebody asks."""

    def execute(self, order):
        outcome = super().execute(order)
        return MayHaveHappened() if isinstance(order, GiveBack) else outcome


SENT = {"payment.processing": 0, "payment.succeeded": 1, "refund.succeeded": 2}


@pytest.mark.parametrize("arriving", arrivals(SENT))
def test_all_orders_of_a_life_in_messages_end_in_the_same_state(ports, ask, payments_sessions, arriving):
    """Begun, charged, refunded: what the sandbox tells arrives between its steps or later, one message overtaking
    another; each makes known how things are then, and the end is the same.
    """
    clock = Clock()
    slow = LosesRefundAnswers(
        payments_sessions, now=clock, terms=Terms(settle_after=timedelta(hours=1)), secrets=[SECRET]
    )
    ports = replace(ports, provider=slow, providers={"sandbox": slow})
    payment = pay(ports, "tok_async")
    id = UUID(payment["id"])
    bodies = {}
    for step, names in enumerate(arriving):
        if step == 1:
            clock.ahead += timedelta(hours=2)
            assert slow.settle_due() == 1
        if step == 2:
            # Our own question, if no message has come so far.
            check_payment(ports, id)
            refunding = {"user_id": ANN, "payment_id": str(id), "idempotency_key": str(new_id()), "amount": 400}
            assert refund_payment(ports, may_refund=True, **refunding).body["status"] == "unknown"
        bodies |= dict(ask("select type, body from sandbox_messages"))
        for name in names:
            assert deliver(ports, bodies[name]) is NoticeStatus.PROCESSED
            told = "select status from refunds" if name == "refund.succeeded" else "select status from payments"
            assert ask(told) == [("processing" if step == 0 else "succeeded",)]
    assert set(bodies) == set(SENT)
    assert [deliver(ports, each) for each in bodies.values()] == [None] * 3
    assert ask("select status, amount_captured, amount_refunded, amount_refunding from payments") == [
        ("succeeded", 1000, 400, 0)
    ]
    assert ask("select status from refunds") == [("succeeded",)]
    told = "select string_agg(type, ' ' order by position) from outbox where envelope->>'subject' = :id"
    assert ask(told, id=str(id)) == [("payment.created payment.succeeded payment.refunded",)]
    # Captured; the refund begun, and done.
    assert ask("select count(distinct transaction_id) from ledger_entries") == [(3,)]
    assert ask("select distinct status, attempts from webhook_notices") == [("processed", 1)]


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "canceled"])
def test_money_moved_for_an_attempt_that_was_given_up_is_parked(ports, ask, payments_sessions, replaced):
    late = []

    class Lost(SandboxProvider):
        def execute(self, order):
            late.append(order)
            return MayHaveHappened()

    lost = Lost(payments_sessions, now=utc_now)
    payment = pay(replace(ports, provider=lost, providers={"sandbox": lost}))
    in_an_hour = replace(ports, now=lambda: utc_now() + timedelta(hours=1, minutes=1))
    check_payment(in_an_hour, UUID(payment["id"]))
    assert ask("select status from payments") == [("requires_payment_method",)]
    of_payment = {"user_id": ANN, "payment_id": payment["id"], "idempotency_key": str(new_id())}
    if replaced:
        confirm_payment(ports, payment_method="tok_visa", **of_payment)
    else:
        cancel_payment(ports, **of_payment)
    assert isinstance(ports.provider.execute(late[0]), Succeeded)
    query = "select body from sandbox_messages where body::jsonb->'data'->>'attempt_id' = :id"
    ((body,),) = ask(query, id=str(late[0].attempt_id))
    assert deliver(ports, body) is NoticeStatus.PARKED
    assert ask("select error, payment_id::text from webhook_notices") == [
        ("money_moved_for_given_up_attempt", payment["id"])
    ]
    assert ask("select count(distinct transaction_id) from ledger_entries") == [(1 if replaced else 0,)]


def test_a_message_that_comes_before_our_own_commit_is_neither_lost_nor_a_second_effect(ports, ask, payments_sessions):
    """The provider has charged and told of it, and its answer to us is still on its way."""
    seen = []

    def meanwhile(_seconds):
        ((body,),) = ask("select body from sandbox_messages")
        seen.append(deliver(ports, body))
        seen.extend(ask("select status from payments"))

    slow = SandboxProvider(payments_sessions, now=utc_now, latency=Latency(1, sleep=meanwhile))
    payment = pay(replace(ports, provider=slow, providers={"sandbox": slow}))
    assert seen == [NoticeStatus.PROCESSED, ("succeeded",)]
    assert (payment["status"], payment["amount_captured"]) == ("succeeded", 1000)
    assert ask("select type from outbox where type like 'payment.%' order by position") == [
        ("payment.created",),
        ("payment.succeeded",),
    ]
    assert ask("select calls from sandbox_charges") == [(1,)]
    assert ask("select count(distinct transaction_id) from ledger_entries") == [(1,)]
    assert ask("select status from idempotency_claims") == [("done",)]


def test_what_came_while_the_provider_was_cut_off_is_followed_later(ports, ask):
    pay(ports, "tok_async")
    ports.simulation._sandbox.settle_due()
    ((body,),) = ask("select body from sandbox_messages where type = 'payment.succeeded'")
    id = str(receive(ports, body).id)

    class CutOff:
        name = "sandbox"
        interpret = ports.provider.interpret

        def lookup(self, order):
            return NotExecuted("provider_unreachable")

    cut_off = Breaker(CutOff())
    with pytest.raises(Exception, match="cannot be asked"):
        process_notice(replace(ports, provider=cut_off, providers={"sandbox": cut_off}), notice_id=id)
    assert ask("select status, attempts from webhook_notices") == [("received", 1)]
    assert process_notice(ports, notice_id=id).status is NoticeStatus.PROCESSED
    assert ask("select status from payments") == [("succeeded",)]


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe\0",
        b'{"id": "evt_1", "type": "t", "created": 1, "data": {"nan": NaN, "nul": "\\u0000", "half": "\\udc00"}}',
        b'{"id": "evt_1", "type": "t", "created": 1, "data": {"big": ' + b"9" * 4000 + b"}}",
        b'{"id": "evt_1", "type": "t", "created": 1, "data": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
        b"[" * 100_000,
        b'{"id": "evt_1", "type": "t", "created": ' + b"9" * 400 + b', "data": {}}',
    ],
)
def test_whatever_is_proved_can_be_stored(ports, ask, body):
    """An error of ours would have the provider send it again for days."""
    assert receive(ports, body).is_new
    assert len(ask("select payload from webhook_notices")) == 1


def test_no_card_number_is_stored(ports, ask):
    receive(ports, json.dumps({"id": "evt_1", "type": "t", "created": 1, "data": {"pan": "4242-4242-4242-4242"}}))
    ((row,),) = ask("select webhook_notices::text from webhook_notices")
    assert "4242" not in row

"""Messages from providers on PostgreSQL, and their fake, keep the same promises; and what only a database can show."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from lib.ids import new_id, utc_now
from payments_svc.application.capture_payment import capture_payment
from payments_svc.application.create_payment import create_payment
from payments_svc.application.process_notice import process_notice
from payments_svc.application.receive_notice import receive_notice
from payments_svc.application.refund_payment import refund_payment
from payments_svc.bootstrap import build_ports
from payments_svc.domain.customer import Customer
from payments_svc.domain.details import Details
from payments_svc.domain.money import Money
from payments_svc.domain.notice import NoticeStatus, ParkedFor, StoredNotice
from payments_svc.domain.outcome import NotExecuted, Succeeded
from payments_svc.domain.payment import Payment
from payments_svc.infrastructure import signatures
from payments_svc.infrastructure.breaker import Breaker
from payments_svc.infrastructure.sandbox import Latency, SandboxProvider
from payments_svc.infrastructure.sql import PaymentsUnitOfWork
from payments_svc.infrastructure.tables import map_domain
from tests.fakes.payments import DEADLINES, NOON, FakeDatabase, FakeUnitOfWork
from tests.integration.payments.test_payments_races import CONFIG

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
    with begin() as uow:
        uow.customers.add_or_get(Customer(customer, NOON))
        uow.payments.add(payment)
        uow.refunds.add(refund)
        uow.refunds.add(canceled)
        uow.commit()
    with begin() as uow:
        find, find_refund = uow.notices.payment_of, uow.notices.refund_of
        assert find("sandbox", attempt_id, None) == payment.id
        assert find("sandbox", None, payment.id) == find("sandbox", new_id(), payment.id) == payment.id
        assert find("sandbox", new_id(), None) is find("sandbox", None, None) is find("sandbox", None, new_id()) is None
        assert find("other", attempt_id, payment.id) is None
        assert find_refund("sandbox", refund.attempt_id) == refund.id
        assert find_refund("sandbox", canceled.attempt_id) is find_refund("sandbox", None) is None
        assert find_refund("other", refund.attempt_id) is None


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
    return process_notice(ports, notice_id=str(receipt.id)) if receipt.is_new else None


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
        assert set(pool.map(lambda _: process_notice(ports, notice_id=id), range(10))) == {NoticeStatus.PROCESSED}
    assert ask("select count(*) from outbox where type = 'payment.succeeded'") == [(1,)]
    assert ask("select count(distinct transaction_id) from ledger_entries") == [(1,)]


def test_all_orders_of_a_life_in_messages_end_in_the_same_state(ports, ask):
    """Set aside, captured, refund begun, refund done: as the sandbox told them, in all 24 orders, each twice."""
    ends = set()
    for order in itertools.permutations(range(4)):
        payment = pay(ports, "tok_refund_pending", capture_method="manual")
        of_payment = {"user_id": ANN, "payment_id": payment["id"], "idempotency_key": str(new_id())}
        capture_payment(ports, may_capture=True, amount=900, **of_payment)
        refund_payment(ports, may_refund=True, amount=400, **of_payment)
        ports.simulation._sandbox.settle_due()
        bodies = ask(
            "select body from sandbox_messages where body::jsonb->'data'->>'payment_id' = :id order by created_at, id",
            id=payment["id"],
        )
        assert len(bodies) == 4
        for at in (*order, *order):
            assert deliver(ports, bodies[at][0]) in (NoticeStatus.PROCESSED, None)
        ends |= set(
            ask(
                "select p.status, amount_captured, amount_refunded, amount_refunding, r.status,"
                " (select string_agg(type, ' ' order by position) from outbox"
                " where envelope->>'subject' = p.id::text),"
                " (select count(distinct transaction_id) from ledger_entries where payment_id = p.id)"
                " from payments p join refunds r on r.payment_id = p.id where p.id = :id",
                id=payment["id"],
            )
        )
    told = "payment.created payment.authorized payment.succeeded payment.refunded"
    assert ends == {("succeeded", 900, 400, 0, "succeeded", told, 3)}
    assert ask("select distinct status, attempts from webhook_notices") == [("processed", 1)]


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
    assert process_notice(ports, notice_id=id) is NoticeStatus.PROCESSED
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

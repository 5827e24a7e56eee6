"""The unit of work and the questions on PostgreSQL, and their fakes, keep the same promises."""

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lib.errors import Overtaken
from lib.ids import new_id
from payments_svc.domain.customer import Customer, CustomerStatus
from payments_svc.domain.details import Details
from payments_svc.domain.idempotency import Claim, ClaimStatus
from payments_svc.domain.money import Money
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    Authorized,
    MayHaveHappened,
    Refused,
    Succeeded,
)
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import PaymentNotFound, ReferenceTaken
from payments_svc.domain.payment_status import CancellationReason, PaymentStatus
from payments_svc.domain.refund import Refund, RefundNotFound
from payments_svc.infrastructure.sql import PaymentsUnitOfWork, SqlReads
from payments_svc.infrastructure.tables import map_domain
from tests.fakes.payments import DEADLINES, NOON, FakeDatabase, FakeReads, FakeUnitOfWork

ANN, BOB = new_id(), new_id()
CHECK = NOON + timedelta(minutes=5)


@dataclass
class World:
    uow: Any
    reads: Any
    events: Any


@pytest.fixture(params=["fake", "sql"])
def world(request):
    if request.param == "fake":
        database = FakeDatabase()
        return World(
            lambda: FakeUnitOfWork(database),
            FakeReads(database),
            lambda: [(sequence, event.type) for sequence, event in database.events],
        )
    sessions = request.getfixturevalue("payments_sessions")
    map_domain()

    def events():
        query = "select (envelope->>'sequence')::int, type from outbox order by position"
        with sessions() as session:
            return [tuple(row) for row in session.execute(sa.text(query))]

    return World(lambda: PaymentsUnitOfWork(sessions), SqlReads(sessions), events)


def new_payment(customer_id=ANN, **details):
    return Payment.open(
        id=new_id(), customer_id=customer_id, money=Money(1000, "EUR"), details=Details(**details), now=NOON
    )


def new_claim(payment, key="key-1", **changes):
    scope = {"user_id": payment.customer_id, "operation": "create_payment", "key": key}
    return Claim.open(**{**scope, **changes}, body={"a": 1}, attempt_id=new_id(), payment_id=payment.id, now=NOON)


def stored(world, payment, *more):
    with world.uow() as uow:
        uow.customers.add_or_get(Customer(payment.customer_id, NOON))
        uow.payments.add(payment)
        for each in more:
            (uow.refunds.add if isinstance(each, Refund) else uow.claims.take)(each)
        uow.commit()
    return payment


def succeeded(payment):
    return attempted(payment, Succeeded())


def attempted(payment, outcome):
    payment.begin_charge(new_id(), payment_method="tok_visa", provider="sandbox", now=NOON, check_at=CHECK)
    payment.settle(outcome, now=NOON, deadlines=DEADLINES)
    return payment


def refund_of(payment, amount=400):
    return payment.open_refund(
        id=new_id(),
        attempt_id=new_id(),
        amount=amount,
        reason="too many",
        requested_by=BOB,
        now=NOON,
        check_at=CHECK,
    )


def content(entity):
    return {each.name: getattr(entity, each.name) for each in fields(entity)}


def test_a_payment_comes_back_as_it_was(world):
    payment = stored(
        world, succeeded(new_payment(description="🐇", metadata={"order": "17", "a": ""}, reference="order-17"))
    )
    with world.uow() as uow:
        assert content(uow.payments.get(payment.id)) == content(payment)


def test_a_refund_comes_back_as_it_was(world):
    payment = succeeded(new_payment())
    refund = refund_of(payment)
    stored(world, payment, refund)
    with world.uow() as uow:
        found = uow.refunds.get(refund.id)
        assert content(found) == content(refund)
        uow.payments.get(payment.id).settle_refund(found, Refused("no"), now=CHECK, deadlines=DEADLINES)
        uow.commit()
    with world.uow() as uow:
        assert uow.refunds.get(refund.id).failure_code == "no"
        assert uow.payments.get(payment.id).refundable == 1000


@pytest.mark.parametrize("outcome", [MayHaveHappened(), Accepted(), Authorized(CHECK), ActionRequired({"a": ["b"]})])
def test_what_is_open_comes_back_as_it_was(world, outcome):
    payment = attempted(new_payment(), outcome)
    if isinstance(outcome, Authorized):
        payment.begin_cancel(new_id(), reason=CancellationReason.DUPLICATE, now=NOON, check_at=CHECK)
    stored(world, payment)
    with world.uow() as uow:
        assert content(uow.payments.get(payment.id)) == content(payment)
        assert uow.payments.get(payment.id).order() == payment.order()


def test_what_is_not_there_is_not_found(world):
    with world.uow() as uow:
        for find in (uow.payments.get, uow.payments.look):
            with pytest.raises(PaymentNotFound):
                find(new_id())
        for find in (uow.refunds.get, uow.refunds.look):
            with pytest.raises(RefundNotFound):
                find(new_id())
        assert uow.claims.find(new_id()) is None


def test_a_look_shows_what_is_there_and_a_lock_what_it_has_become(world):
    payment = succeeded(new_payment())
    refund = refund_of(payment)
    stored(world, payment, refund)
    with world.uow() as looking:
        assert content(looking.payments.look(payment.id)) == content(payment)
        assert content(looking.refunds.look(refund.id)) == content(refund)


# --- what is due ---


def due(world, kind, **more):
    arguments = {"now": CHECK, "until": CHECK + timedelta(seconds=10), "at_most": 10, **more}
    with world.uow() as uow:
        taken = getattr(uow, kind).take_due(arguments.pop("now"), **arguments)
        uow.commit()
    return taken


@pytest.mark.parametrize("kind", ["payments", "refunds"])
def test_what_is_due_is_taken_once_the_longest_due_first(world, kind):
    assert not world.reads.is_anything_due(CHECK)
    ids = []
    for wait in (2, 1, 3, 400):
        payment = attempted(new_payment(), MayHaveHappened()) if kind == "payments" else succeeded(new_payment())
        each = payment if kind == "payments" else refund_of(payment)
        each.next_check_at = NOON + timedelta(seconds=wait)
        stored(world, payment, *([each] if kind == "refunds" else []))
        ids.append(each.id)
    assert not world.reads.is_anything_due(NOON)
    assert world.reads.is_anything_due(CHECK)
    assert due(world, kind, only=ids[3]) == []
    assert due(world, kind, only=ids[2]) == [ids[2]]
    assert due(world, kind, at_most=1) == [ids[1]]
    assert due(world, kind) == [ids[0]]
    assert due(world, kind) == []
    assert not world.reads.is_anything_due(CHECK)
    # Whoever took them and died leaves them to be taken again.
    assert set(due(world, kind, now=CHECK + timedelta(seconds=10))) == set(ids[:3])


def test_past_what_is_locked(payments_sessions):
    map_domain()
    sql = World(lambda: PaymentsUnitOfWork(payments_sessions), SqlReads(payments_sessions), None)
    payments = [stored(sql, attempted(new_payment(), MayHaveHappened())) for _ in range(2)]
    with sql.uow() as holding:
        holding.payments.get(payments[0].id)
        assert due(sql, "payments") == [payments[1].id]


def test_the_open_refunds_of_a_payment_are_found_the_oldest_first(world):
    payment = succeeded(new_payment())
    refunds = [refund_of(payment, 100) for _ in range(4)]
    payment.settle_refund(refunds[1], Succeeded(), now=NOON, deadlines=DEADLINES)
    payment.settle_refund(refunds[2], MayHaveHappened(), now=NOON, deadlines=DEADLINES)
    stored(world, payment, *refunds)
    with world.uow() as uow:
        assert uow.refunds.open_of(payment.id, at_most=2) == [refunds[0].id, refunds[2].id]
        assert uow.refunds.open_of(payment.id, at_most=9) == [refunds[0].id, refunds[2].id, refunds[3].id]
        assert uow.refunds.open_of(new_id(), at_most=9) == []


def test_what_is_not_committed_never_was(world):
    payment = new_payment()
    with world.uow() as uow:
        uow.customers.add_or_get(Customer(ANN, NOON))
        uow.payments.add(payment)
        uow.claims.take(new_claim(payment))
        uow.first_time("handler", str(new_id()))
    with world.uow() as uow, pytest.raises(PaymentNotFound):
        uow.payments.get(payment.id)
    assert world.events() == []


def test_changes_and_their_events_are_committed_together(world):
    payment = stored(world, new_payment())
    with world.uow() as uow:
        succeeded(uow.payments.get(payment.id))
        uow.commit()
    assert world.reads.payment(ANN, payment.id)["status"] == "succeeded"
    assert world.events() == [(1, "payment.created"), (2, "payment.succeeded")]


def begun(world):
    """Return a claim and a payment as the transaction that began them left them."""
    payment = new_payment()
    claim = new_claim(payment)
    with world.uow() as uow:
        uow.claims.take(claim)
        uow.customers.add_or_get(Customer(ANN, NOON))
        payment.begin_charge(claim.attempt_id, payment_method="tok_visa", provider="x", now=NOON, check_at=CHECK)
        uow.payments.add(payment)
        uow.commit()
    return claim, payment


def go_on(world, claim, payment):
    with world.uow() as uow:
        uow.take_up(claim, payment, None)
        payment.settle(Succeeded(), now=CHECK, deadlines=DEADLINES)
        payment.version += 1
        claim.finish({"id": str(payment.id)}, CHECK)
        for posting in payment.pull_postings():
            uow.ledger.post(posting, CHECK)
        uow.commit()


def test_what_was_begun_is_taken_up_again(world):
    claim, payment = begun(world)
    go_on(world, claim, payment)
    with world.uow() as uow:
        assert content(uow.claims.find(claim.attempt_id)) == content(claim)
        found = uow.payments.get(payment.id)
        assert (content(found), found.status) == (content(payment), PaymentStatus.SUCCEEDED)
    assert world.events() == [(1, "payment.created"), (2, "payment.succeeded")]


@pytest.mark.parametrize("changed", ["payment", "claim"])
def test_what_has_changed_since_is_overtaken_and_nothing_is_saved(world, changed):
    claim, payment = begun(world)
    with world.uow() as uow:
        held, stored_payment = uow.claims.find(claim.attempt_id), uow.payments.get(payment.id)
        if changed == "payment":
            stored_payment.version += 1
        else:
            held.resume(CHECK)
        uow.commit()
    with pytest.raises(Overtaken):
        go_on(world, claim, payment)
    with world.uow() as uow:
        assert uow.payments.get(payment.id).status is PaymentStatus.PROCESSING
        assert uow.claims.find(claim.attempt_id).status is ClaimStatus.RUNNING
    assert world.events() == [(1, "payment.created")]


def test_a_refund_is_taken_up_with_its_payment(world):
    payment = succeeded(new_payment())
    refund = refund_of(payment)
    claim = new_claim(payment, operation="refund_payment", refund_id=refund.id)
    stored(world, payment, refund, claim)
    with world.uow() as uow:
        uow.take_up(claim, payment, refund)
        payment.settle_refund(refund, Succeeded(), now=CHECK, deadlines=DEADLINES)
        payment.version += 1
        uow.commit()
    with world.uow() as uow:
        assert content(uow.refunds.get(refund.id)) == content(refund)


def test_the_first_claim_is_ones_own(world):
    payment = new_payment()
    claim = new_claim(payment)
    with world.uow() as uow:
        assert uow.claims.take(claim) is claim
        uow.customers.add_or_get(Customer(ANN, NOON))
        uow.payments.add(payment)
        uow.commit()
    with world.uow() as uow:
        assert content(uow.claims.find(claim.attempt_id)) == content(claim)


def test_the_second_claim_is_the_first_one(world):
    payment = new_payment()
    first = new_claim(payment)
    stored(world, payment, first)
    with world.uow() as uow:
        held = uow.claims.take(new_claim(payment))
        assert content(held) == content(first)


@pytest.mark.parametrize("changes", [{"key": "key-2"}, {"operation": "refund_payment"}, {"user_id": BOB}])
def test_user_operation_and_key_make_a_claim(world, changes):
    payment = new_payment()
    stored(world, payment, new_claim(payment))
    other = new_claim(payment, **changes)
    with world.uow() as uow:
        assert uow.claims.take(other) is other


@pytest.mark.parametrize("new", [True, False], ids=["when it is taken", "later"])
def test_what_becomes_of_a_claim_is_kept(world, new):
    payment = new_payment()
    claim = new_claim(payment)
    if not new:
        stored(world, payment, claim)
    with world.uow() as uow:
        if new:
            uow.customers.add_or_get(Customer(ANN, NOON))
            uow.payments.add(payment)
        held = uow.claims.take(claim) if new else uow.claims.find(claim.attempt_id)
        held.resume(CHECK)
        held.finish({"id": str(payment.id), "metadata": {"b": "1", "a": "2"}}, CHECK)
        uow.commit()
    with world.uow() as uow:
        found = uow.claims.find(claim.attempt_id)
        assert (found.status, found.run, found.started_at, found.finished_at) == (ClaimStatus.DONE, 2, CHECK, CHECK)
        assert found.answer == {"id": str(payment.id), "metadata": {"b": "1", "a": "2"}}


def test_only_answers_given_before_are_forgotten(world):
    payment = new_payment()
    claims = {name: new_claim(payment, key=name) for name in ("old", "new", "running", "unknown")}
    stored(world, payment, *claims.values())
    with world.uow() as uow:
        uow.claims.find(claims["old"].attempt_id).finish({"a": 1}, NOON)
        uow.claims.find(claims["new"].attempt_id).finish({"a": 1}, CHECK)
        uow.claims.find(claims["unknown"].attempt_id).finish(None, NOON)
        uow.commit()
    for forgotten in (1, 0):
        with world.uow() as uow:
            assert uow.claims.forget_answers(NOON, at_most=10) == forgotten
            uow.commit()
    with world.uow() as uow:
        found = {name: uow.claims.find(each.attempt_id) for name, each in claims.items()}
        assert {name: each.answer for name, each in found.items()} == {
            "old": None,
            "new": {"a": 1},
            "running": None,
            "unknown": None,
        }
        assert found["old"].status is ClaimStatus.DONE


def test_answers_are_forgotten_a_few_at_a_time(world):
    payment = new_payment()
    claims = [new_claim(payment, key=str(number)) for number in range(3)]
    stored(world, payment, *claims)
    with world.uow() as uow:
        for claim in claims:
            uow.claims.find(claim.attempt_id).finish({"a": 1}, NOON)
        uow.commit()
    for forgotten in (2, 1, 0):
        with world.uow() as uow:
            assert uow.claims.forget_answers(NOON, at_most=2) == forgotten
            uow.commit()


def test_a_reference_is_found_while_it_is_in_use(world):
    payment = stored(world, new_payment(reference="order-17"))
    with world.uow() as uow:
        assert uow.payments.find_by_reference(ANN, "order-17") == payment.id
        assert uow.payments.find_by_reference(ANN, "order-18") is None
        assert uow.payments.find_by_reference(BOB, "order-17") is None
        uow.payments.get(payment.id).status = PaymentStatus.CANCELED
        uow.commit()
    with world.uow() as uow:
        assert uow.payments.find_by_reference(ANN, "order-17") is None


def test_a_reference_that_is_in_use_is_refused_at_the_latest_by_the_commit(world):
    stored(world, new_payment(reference="order-17"))
    with pytest.raises(ReferenceTaken):
        stored(world, new_payment(reference="order-17"))
    stored(world, new_payment(BOB, reference="order-17"))
    stored(world, new_payment())
    stored(world, new_payment())


def test_another_broken_rule_of_the_database_is_not_taken_for_a_reference(payments_sessions):
    map_domain()
    with PaymentsUnitOfWork(payments_sessions) as uow:
        uow.payments.add(new_payment())
        with pytest.raises(IntegrityError, match="payments_customer_id_fkey"):
            uow.commit()


def test_a_customer_is_added_once(world):
    for moment in (NOON, CHECK):
        with world.uow() as uow:
            assert uow.customers.add_or_get(Customer(ANN, moment)).created_at == NOON
            uow.commit()
    stored(world, new_payment())


@pytest.mark.parametrize("there_already", [True, False])
def test_what_becomes_of_a_customer_is_kept(world, there_already):
    if there_already:
        with world.uow() as uow:
            uow.customers.add_or_get(Customer(ANN, NOON))
            uow.commit()
    with world.uow() as uow:
        uow.customers.add_or_get(Customer(ANN, NOON)).disable(sequence=7)
        uow.commit()
    with world.uow() as uow:
        found = uow.customers.add_or_get(Customer(ANN, CHECK))
        assert content(found) == content(Customer(ANN, NOON, CustomerStatus.DISABLED, 7))


def test_what_becomes_of_a_customer_without_a_commit_is_not_kept(world):
    for status in (CustomerStatus.ACTIVE, CustomerStatus.ACTIVE):
        with world.uow() as uow:
            customer = uow.customers.add_or_get(Customer(ANN, NOON))
            assert customer.status is status
            customer.disable(sequence=7)


def bury(world, customer_id):
    with world.uow() as uow:
        uow.customers.bury(uow.customers.add_or_get(Customer(customer_id, NOON)), NOON)
        uow.commit()


@pytest.mark.parametrize("there_already", [True, False])
def test_a_buried_customer_without_payments_is_gone_for_good(world, there_already):
    if there_already:
        with world.uow() as uow:
            uow.customers.add_or_get(Customer(ANN, NOON))
            uow.commit()
    for moment in (NOON, CHECK):
        bury(world, ANN)
        with world.uow() as uow:
            # What is returned is made for the occasion: nothing is stored, so it is of the moment that is given.
            found = uow.customers.add_or_get(Customer(ANN, moment))
            assert content(found) == content(Customer(ANN, moment, CustomerStatus.DELETED))
            found.enable(sequence=9)
            uow.commit()
    with world.uow() as uow:
        assert uow.customers.add_or_get(Customer(BOB, NOON)).is_active


def test_a_buried_customer_with_payments_stays_with_them(world):
    payment = stored(world, new_payment())
    stored(world, new_payment(BOB))
    for _ in range(2):
        bury(world, ANN)
    with world.uow() as uow:
        assert uow.customers.add_or_get(Customer(ANN, CHECK)).created_at == NOON
        assert uow.payments.get(payment.id).customer_id == ANN


def test_a_handler_sees_an_event_once(world):
    event = str(new_id())
    with world.uow() as uow:
        assert uow.first_time("one", event)
        uow.commit()
    with world.uow() as uow:
        assert not uow.first_time("one", event)
        assert uow.first_time("other", event)


def test_a_question_is_answered_with_all_fields(world):
    payment = succeeded(new_payment(metadata={"order": "17"}))
    refund = refund_of(payment)
    stored(world, payment, refund)
    assert world.reads.payment(ANN, payment.id) == content(payment)
    assert world.reads.refund(ANN, refund.id) == content(refund)


def test_a_question_is_about_ones_own(world):
    payment = succeeded(new_payment())
    refund = refund_of(payment)
    stored(world, payment, refund)
    assert world.reads.payment(BOB, payment.id) is None
    assert world.reads.refund(BOB, refund.id) is None
    assert world.reads.payments(BOB, limit=10, before=None) == []
    assert world.reads.refunds(BOB, payment.id, limit=10, before=None) == []


def test_lists_are_newest_first_limited_and_begin_below_a_given_one(world):
    payments = [stored(world, succeeded(new_payment())) for _ in range(3)]
    ids = [each.id for each in payments]
    assert [row["id"] for row in world.reads.payments(ANN, limit=10, before=None)] == ids[::-1]
    assert [row["id"] for row in world.reads.payments(ANN, limit=1, before=ids[2])] == [ids[1]]
    assert world.reads.payments(ANN, limit=10, before=ids[0]) == []


def test_the_refunds_of_one_payment_are_listed_the_same_way(world):
    payment, other = succeeded(new_payment()), succeeded(new_payment())
    refunds = [refund_of(payment, 100) for _ in range(3)]
    stored(world, payment, *refunds)
    stored(world, other, refund_of(other, 100))
    ids = [each.id for each in refunds]
    assert [row["id"] for row in world.reads.refunds(ANN, payment.id, limit=10, before=None)] == ids[::-1]
    assert [row["id"] for row in world.reads.refunds(ANN, payment.id, limit=1, before=ids[2])] == [ids[1]]

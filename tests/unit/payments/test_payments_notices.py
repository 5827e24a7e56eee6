"""Messages from providers: proved, stored once, followed to what they point to, never lost."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from prometheus_client import REGISTRY

from lib.ids import new_id, utc_now
from payments_svc.application.cancel_payment import cancel_payment
from payments_svc.application.capture_payment import capture_payment
from payments_svc.application.check_payment import check_payment
from payments_svc.application.confirm_payment import confirm_payment
from payments_svc.application.create_payment import create_payment
from payments_svc.application.dismiss_notices import dismiss_notice, dismiss_parked
from payments_svc.application.forget_notices import KEPT, KEPT_UNKNOWN_TYPES, forget_notices
from payments_svc.application.process_notice import process_notice
from payments_svc.application.receive_notice import LONGEST_UNREADABLE, Receipt, receive_notice
from payments_svc.application.refund_payment import refund_payment
from payments_svc.application.replay_notices import list_notices, replay_notice, replay_parked
from payments_svc.domain.arguments import BadArgument
from payments_svc.domain.notice import (
    DEEPEST,
    LONGEST_NAME,
    InvalidNotice,
    InvalidSignature,
    NoticeNotFound,
    NoticeNotParked,
    NoticeStatus,
    ParkedFor,
    ProviderNotFound,
    check_name,
    storable,
)
from payments_svc.domain.orders import Capture
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    Authorized,
    MayHaveHappened,
    NotExecuted,
    ProviderUnreachable,
    Refused,
    Succeeded,
    Voided,
)
from payments_svc.domain.payment_status import OperationStatus, PaymentStatus
from payments_svc.domain.refund import RefundStatus
from payments_svc.presentation.service import PaymentsService
from tests.fakes.payments import DEADLINES, NOON, FakeUnitOfWork, FakeWorld
from tests.support.arrivals import arrivals

ANN = str(new_id())
CARD = "4242 4242 4242 4242"


@pytest.fixture
def world():
    return FakeWorld()


def pay(world, token="tok_visa", key="key-1", **changes):
    request = {"user_id": ANN, "amount": 1050, "currency": "EUR", "idempotency_key": key, "payment_method": token}
    create_payment(world.ports(), **{**request, **changes})
    return list(world.payments.values())[-1]


def refund(world, payment, amount=500, key="refund-1"):
    request = {"user_id": ANN, "payment_id": str(payment.id), "idempotency_key": key, "amount": amount}
    refund_payment(world.ports(), may_refund=True, **request)
    return list(world.refunds.values())[-1]


def message(type="payment.succeeded", *, id="evt_1", attempt_id=None, payment_id=None, **data):
    data |= {"attempt_id": str(attempt_id), "payment_id": str(payment_id)}
    return {"id": id, "type": type, "created": 1_769_860_800, "data": data}


def about(payment, type="payment.succeeded", **changes):
    return message(type, attempt_id=payment.attempt_id, payment_id=payment.id, **changes)


def receive(world, content, *, provider="fake", signature=None):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    signature = world.provider.sign(body) if signature is None else signature
    request = {"provider": provider, "body": body, "signature": signature, "correlation_id": "req-1"}
    return receive_notice(world.ports(), **request)


def process(world, receipt, **others):
    result = process_notice(world.ports(**others), notice_id=str(receipt.id))
    return None if result is None else result.status


def deliver(world, content):
    return process(world, receive(world, content))


def notices(world):
    return list(world.database.committed.notices.values())


def only(things):
    (one,) = things
    return one


# --- receiving ---


def test_a_proved_message_is_stored_with_an_event_that_says_so(world):
    receipt = receive(world, message(note="hello"))
    notice = only(notices(world))
    assert receipt == Receipt(is_new=True, type="payment.succeeded", id=notice.id)
    assert (notice.provider, notice.event_id, notice.type) == ("fake", "evt_1", "payment.succeeded")
    assert (notice.status, notice.attempts, notice.received_at) == (NoticeStatus.RECEIVED, 0, NOON)
    assert notice.payload["data"]["note"] == "hello"
    assert notice.correlation_id == "req-1"
    event = only(world.events)
    assert (event.type, event.id) == ("webhook.received", str(notice.id))


def test_the_same_message_again_is_no_second_one(world):
    first = receive(world, message())
    assert receive(world, message(note="other bytes, the same id")) == Receipt(is_new=False, type="payment.succeeded")
    assert only(notices(world)).id == first.id
    assert len(world.events) == 1


def test_another_providers_message_with_the_same_id_is_another_one(world):
    other = replace(world.ports(), providers={"fake": world.provider, "other": world.provider})
    body = json.dumps(message()).encode()
    for provider in ("fake", "other"):
        receive_notice(
            other,
            provider=provider,
            body=body,
            signature=world.provider.sign(body),
            correlation_id="req-1",
        )
    assert [each.provider for each in notices(world)] == ["fake", "other"]


def test_what_is_not_proved_leaves_nothing(world):
    with pytest.raises(InvalidSignature):
        receive(world, message(), signature="forged")
    assert notices(world) == world.events == []


def test_a_provider_that_is_none_is_not_found(world):
    for provider in ("nobody", "", "FAKE", "fake\0"):
        with pytest.raises(ProviderNotFound):
            receive(world, message(), provider=provider)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b'{"id": 1}',
        b'{"id": "' + b"x" * 300 + b'", "type": "payment.succeeded", "created": 1, "data": {}}',
        b'{"id": "evt\\u0000", "type": "payment.succeeded", "created": 1, "data": {}}',
        b'{"id": "evt_1", "type": "\\ud800", "created": 1, "data": {}}',
        b'{"id": "evt_1", "type": "payment.succeeded", "created": 1, "data": {"a":' + b"[" * 60 + b"]" * 60 + b"}}",
    ],
)
def test_what_is_proved_and_unreadable_is_put_aside_once(world, body):
    """A refusal would have the provider send it again for days."""
    assert [receive(world, body).is_new for _ in range(2)] == [True, False]
    notice = only(notices(world))
    assert (notice.type, notice.status, notice.error) == ("unreadable", NoticeStatus.PARKED, ParkedFor.UNREADABLE)
    assert notice.event_id.startswith("sha256:")
    assert world.events == []


def test_of_what_is_unreadable_the_beginning_is_kept_without_card_numbers(world):
    receive(world, f"card {CARD} \0 \udcff".encode(errors="surrogateescape") + b"x" * 20_000)
    text = only(notices(world)).payload["text"]
    assert "4242" not in text
    assert text.startswith("card ")
    assert "\0" not in text
    assert len(text) <= LONGEST_UNREADABLE


def test_not_even_the_half_of_a_card_number_is_left_where_the_text_is_cut(world):
    receive(world, b"x " * (LONGEST_UNREADABLE // 2 - 5) + CARD.encode())
    assert set(only(notices(world)).payload["text"]) <= set("x [card number]")


def test_card_numbers_are_not_stored(world):
    receive(world, message(card=CARD, number=4242424242424242, fine=4242, **{CARD: [CARD, {"deep": CARD}]}))
    kept = json.dumps(only(notices(world)).payload)
    assert "4242 4242" not in kept
    assert "4242424242424242" not in kept
    assert '"fine": 4242' in kept


def test_what_a_database_cannot_hold_is_replaced():
    kept = storable({"text\0": "a\0b\ud800c", "numbers": [float("nan"), float("inf"), 1.5, True, None, 10**15]})
    assert kept == {"text\ufffd": "a\ufffdb\ufffdc", "numbers": ["nan", "inf", "1.5", True, None, 10**15]}


def test_depth_and_names_have_a_limit():
    deep = "x"
    for _ in range(DEEPEST - 1):
        deep = [deep]
    assert storable({"a": deep}) == {"a": deep}
    with pytest.raises(InvalidNotice):
        storable({"a": [deep]})
    assert check_name("x" * LONGEST_NAME)
    for name in ("", "x" * (LONGEST_NAME + 1), "a\0", "\udfff", CARD):
        with pytest.raises(InvalidNotice):
            check_name(name)


# --- processing ---


def test_a_message_about_a_slow_charge_settles_it(world):
    payment = pay(world, "tok_async")
    assert payment.status is PaymentStatus.PROCESSING
    world.provider.let_time_pass()
    world.time += timedelta(seconds=2)
    assert deliver(world, about(payment)) is NoticeStatus.PROCESSED
    payment = only(world.payments.values())
    assert (payment.status, payment.amount_captured) == (PaymentStatus.SUCCEEDED, 1050)
    notice = only(notices(world))
    assert (notice.payment_id, notice.attempts, notice.processed_at) == (payment.id, 1, world.time)
    assert ("charge.succeeded", "provider") in world.trail


def test_what_the_message_claims_is_not_believed(world):
    """It says succeeded, and the provider does not."""
    payment = pay(world, "tok_async")
    assert deliver(world, about(payment, amount_captured=10**9)) is NoticeStatus.PROCESSED
    assert only(world.payments.values()).status is PaymentStatus.PROCESSING
    assert world.postings == []


def test_the_payment_is_found_by_its_id_if_the_attempt_is_not_ours(world):
    payment = pay(world, "tok_async")
    world.provider.let_time_pass()
    assert deliver(world, message(attempt_id=new_id(), payment_id=payment.id)) is NoticeStatus.PROCESSED
    assert only(world.payments.values()).status is PaymentStatus.SUCCEEDED


def test_a_message_about_a_refund_settles_it(world):
    payment = pay(world, "tok_refund_pending")
    pending = refund(world, payment)
    assert pending.status is RefundStatus.PENDING
    world.provider.let_time_pass()
    assert deliver(world, message("refund.succeeded", attempt_id=pending.attempt_id)) is NoticeStatus.PROCESSED
    assert only(world.refunds.values()).status is RefundStatus.SUCCEEDED
    assert only(notices(world)).payment_id == payment.id


def test_a_refund_that_comes_back_is_reversed(world):
    payment = pay(world, "tok_refund_fail")
    returned = refund(world, payment)
    assert returned.status is RefundStatus.SUCCEEDED
    world.provider.let_time_pass()
    assert deliver(world, message("refund.failed", attempt_id=returned.attempt_id)) is NoticeStatus.PROCESSED
    assert only(world.refunds.values()).status is RefundStatus.FAILED
    assert only(world.payments.values()).amount_refunded == 0


def test_a_message_of_something_that_is_over_changes_nothing(world):
    payment = pay(world)
    before = world.events
    assert deliver(world, about(payment, "payment.failed")) is NoticeStatus.PROCESSED
    after = refund(world, payment)
    assert deliver(world, message("refund.failed", id="evt_2", attempt_id=after.attempt_id)) is NoticeStatus.PROCESSED
    assert only(world.payments.values()).status is PaymentStatus.SUCCEEDED
    assert [each.type for each in world.events if not each.type.startswith("webhook")] == [
        *(each.type for each in before),
        "payment.refunded",
    ]


@pytest.mark.parametrize(
    "content, reason",
    [
        (message("payout.paid", attempt_id=new_id()), ParkedFor.UNKNOWN_TYPE),
        (message(attempt_id=new_id(), payment_id=new_id()), ParkedFor.UNKNOWN_OBJECT),
        (message(attempt_id="no id", payment_id=None), ParkedFor.UNKNOWN_OBJECT),
        (message("refund.succeeded", attempt_id=new_id()), ParkedFor.UNKNOWN_OBJECT),
    ],
)
def test_what_leads_nowhere_is_parked_with_its_reason(world, content, reason):
    pay(world)
    assert deliver(world, content) is NoticeStatus.PARKED
    assert only(notices(world)).error is reason


def test_a_payment_of_another_provider_is_none_of_this_ones_business(world):
    payment = pay(world)
    with FakeUnitOfWork(world.database) as uow:
        uow.payments.get(payment.id).provider = "other"
        uow.commit()
    assert deliver(world, about(payment)) is NoticeStatus.PARKED


def test_a_message_of_a_provider_that_is_no_more_is_parked(world):
    receipt = receive(world, message())
    assert process(world, receipt, providers={}) is NoticeStatus.PARKED
    assert only(notices(world)).error is ParkedFor.UNKNOWN_PROVIDER


def test_what_an_adapter_cannot_read_any_more_is_parked(world):
    receipt = receive(world, message())
    world.provider.interpret = refuse
    assert process(world, receipt) is NoticeStatus.PARKED
    assert only(notices(world)).error is ParkedFor.UNREADABLE


def refuse(_payload):
    raise InvalidNotice("another form")


def test_a_message_that_is_gone_or_done_is_left_alone(world):
    assert process_notice(world.ports(), notice_id=str(new_id())) is None
    receipt = receive(world, about(pay(world)))
    assert process(world, receipt) is NoticeStatus.PROCESSED
    asked = list(world.provider.asked)
    assert process(world, receipt) is NoticeStatus.PROCESSED
    assert world.provider.asked == asked
    assert only(notices(world)).attempts == 1


@pytest.mark.parametrize("silence", [NotExecuted("provider_unreachable"), MayHaveHappened()])
@pytest.mark.parametrize("kind", ["payment", "refund"])
def test_while_the_provider_cannot_be_asked_the_message_waits(world, kind, silence):
    if kind == "payment":
        content = about(pay(world, "tok_async"))
    else:
        payment = pay(world, "tok_refund_pending")
        content = message("refund.succeeded", attempt_id=refund(world, payment).attempt_id)
    receipt = receive(world, content)
    world.provider.let_time_pass()
    answering = world.provider.lookup
    world.provider.lookup = lambda _order: silence
    with pytest.raises(ProviderUnreachable):
        process(world, receipt)
    notice = only(notices(world))
    assert (notice.status, notice.attempts) == (NoticeStatus.RECEIVED, 1)
    world.provider.lookup = answering
    assert process(world, receipt) is NoticeStatus.PROCESSED
    assert only(notices(world)).attempts == 2
    assert only(world.payments.values()).status is PaymentStatus.SUCCEEDED


def test_a_message_that_overtakes_our_own_result_is_no_second_charge(world):
    """The provider tells of the charge before it has answered the call that makes it."""
    seen = []

    def tell():
        payment = only(world.payments.values())
        seen.append(deliver(world, about(payment)))
        seen.append(only(world.payments.values()).status)

    world.provider.during = tell
    payment = pay(world)
    assert seen == [NoticeStatus.PROCESSED, PaymentStatus.SUCCEEDED]
    assert (payment.status, payment.amount_captured) == (PaymentStatus.SUCCEEDED, 1050)
    assert [each.type for each in world.events if each.type == "payment.succeeded"] == ["payment.succeeded"]
    assert len(world.postings) == 1
    assert sum(question == "charge" for question, _ in world.provider.asked) == 1


def test_a_message_about_an_unknown_outcome_makes_it_known(world):
    payment = pay(world, "tok_timeout")
    assert payment.operation_status is OperationStatus.UNKNOWN
    assert deliver(world, about(payment)) is NoticeStatus.PROCESSED
    assert only(world.payments.values()).status is PaymentStatus.SUCCEEDED


# --- attempts that were given up ---


@pytest.fixture
def lost(world):
    """A charge that is still on its way when it is given up: ``arrives()`` has it reach the provider."""
    sent = []
    world.provider.execute, execute = lambda order: sent.append(order) or MayHaveHappened(), world.provider.execute
    pay(world)
    world.provider.execute = execute
    world.time += timedelta(hours=1, minutes=1)
    (payment,) = world.payments.values()
    check_payment(world.ports(), payment.id)
    assert only(world.payments.values()).status is PaymentStatus.REQUIRES_PAYMENT_METHOD
    return sent[0]


def confirm(world, payment_id, token="tok_visa"):
    request = {"user_id": ANN, "payment_id": str(payment_id), "idempotency_key": str(new_id()), "payment_method": token}
    confirm_payment(world.ports(), **request)


def cancel(world, payment_id):
    request = {"user_id": ANN, "payment_id": str(payment_id), "idempotency_key": str(new_id())}
    cancel_payment(world.ports(), **request)


REPLACE = {"replaced": confirm, "canceled": cancel}


@pytest.mark.parametrize("how", REPLACE)
def test_money_moved_for_an_attempt_that_was_given_up_is_put_before_a_person(world, lost, how):
    """The customer has paid what nobody counts: it may not look as if all were well."""
    REPLACE[how](world, lost.payment_id)
    world.provider.execute(lost)
    status = only(world.payments.values()).status
    receipt = receive(world, message(attempt_id=lost.attempt_id, payment_id=lost.payment_id))
    result = process_notice(world.ports(), notice_id=str(receipt.id))
    assert (result.status, result.error) == (NoticeStatus.PARKED, ParkedFor.MONEY_MOVED_FOR_GIVEN_UP_ATTEMPT)
    assert (result.payment_id, result.given_up) == (lost.payment_id, lost.attempt_id)
    notice = only(notices(world))
    assert (notice.status, notice.error) == (result.status, result.error)
    assert (notice.payment_id, notice.processed_at) == (lost.payment_id, world.time)
    # The payment itself counts its own attempt only.
    assert only(world.payments.values()).status is status
    assert len(world.postings) == (1 if how == "replaced" else 0)


UNTIL = NOON + timedelta(days=7)


@pytest.mark.parametrize("how", REPLACE)
@pytest.mark.parametrize(
    "known, status",
    [
        (Succeeded(1050), NoticeStatus.PARKED),
        (Authorized(UNTIL), NoticeStatus.PARKED),
        (Accepted(), NoticeStatus.PARKED),
        (Refused("lost_card"), NoticeStatus.PROCESSED),
        (Voided(), NoticeStatus.PROCESSED),
        (ActionRequired(), NoticeStatus.PROCESSED),
        (None, NoticeStatus.PROCESSED),
    ],
)
def test_the_provider_is_asked_about_the_attempt_that_was_given_up(world, lost, how, known, status):
    world.provider.answer = Succeeded(1050, "the reference of another attempt")
    REPLACE[how](world, lost.payment_id)
    asked = []
    world.provider.lookup = lambda order: asked.append(order) or known
    assert deliver(world, message(attempt_id=lost.attempt_id, payment_id=lost.payment_id)) is status
    assert [replace(each, payment_method=lost.payment_method) for each in asked] == [lost]


@pytest.mark.parametrize("how", REPLACE)
@pytest.mark.parametrize("silence", [NotExecuted("provider_unreachable"), MayHaveHappened()])
def test_while_an_attempt_that_was_given_up_cannot_be_asked_about_the_message_waits(world, lost, how, silence):
    REPLACE[how](world, lost.payment_id)
    world.provider.execute(lost)
    receipt = receive(world, message(attempt_id=lost.attempt_id, payment_id=lost.payment_id))
    answering, world.provider.lookup = world.provider.lookup, lambda _order: silence
    with pytest.raises(ProviderUnreachable):
        process(world, receipt)
    assert only(notices(world)).status is NoticeStatus.RECEIVED
    world.provider.lookup = answering
    assert process(world, receipt) is NoticeStatus.PARKED


def test_a_message_without_an_attempt_about_a_canceled_payment_is_about_its_last_one(world, lost):
    cancel(world, lost.payment_id)
    world.provider.execute(lost)
    assert deliver(world, message(payment_id=lost.payment_id)) is NoticeStatus.PARKED


def test_a_payment_that_was_canceled_before_it_was_charged_has_nothing_to_ask_about(world):
    payment = pay(world, None)
    cancel(world, payment.id)
    with FakeUnitOfWork(world.database) as uow:
        uow.payments.get(payment.id).provider = "fake"
        uow.commit()
    for number, attempt_id in enumerate((None, new_id())):
        content = message(id=f"evt_{number}", attempt_id=attempt_id, payment_id=payment.id)
        assert deliver(world, content) is NoticeStatus.PROCESSED
    assert world.provider.asked == []


def test_what_was_let_go_when_its_payment_was_canceled_moved_nothing(world):
    payment = pay(world, capture_method="manual")
    cancel(world, payment.id)
    assert deliver(world, about(payment, "payment.canceled")) is NoticeStatus.PROCESSED


def test_a_message_about_an_operation_under_way_is_of_the_present_attempt(world):
    payment = pay(world, "tok_capture_timeout", capture_method="manual")
    request = {"user_id": ANN, "payment_id": str(payment.id), "idempotency_key": "capture-1"}
    capture_payment(world.ports(), may_capture=True, **request)
    operation_id = only(world.payments.values()).operation_id
    asked = []
    world.provider.lookup = lambda order: asked.append(order) or Accepted()
    assert deliver(world, message(attempt_id=operation_id, payment_id=payment.id)) is NoticeStatus.PROCESSED
    assert only(world.payments.values()).operation_status is OperationStatus.ACCEPTED
    assert {type(each) for each in asked} == {Capture}


@pytest.mark.parametrize("silence", [NotExecuted("provider_unreachable"), MayHaveHappened()])
def test_an_attempt_that_was_forgotten_is_asked_about_until_there_is_an_answer(world, lost, silence):
    """It is the payment's last one still: what the provider says of it counts, however late."""
    world.provider.execute(lost)
    receipt = receive(world, message(attempt_id=lost.attempt_id, payment_id=lost.payment_id))
    answering, world.provider.lookup = world.provider.lookup, lambda _order: silence
    with pytest.raises(ProviderUnreachable):
        process(world, receipt)
    assert only(notices(world)).status is NoticeStatus.RECEIVED
    world.provider.lookup = answering
    assert process(world, receipt) is NoticeStatus.PROCESSED
    assert only(world.payments.values()).status is PaymentStatus.SUCCEEDED


# --- refunds that were given up ---


def failed_refund(world):
    """The provider has refused, and does it all the same."""
    payment = pay(world)
    world.provider.answer = Refused("bank_refused")
    made = refund(world, payment)
    assert made.status is RefundStatus.FAILED
    return made


def canceled_refund(world):
    """It was surely not sent; and has arrived all the same."""
    payment = pay(world)
    world.provider.answer = NotExecuted("provider_unreachable")
    with pytest.raises(ProviderUnreachable):
        refund(world, payment)
    made = only(world.refunds.values())
    assert made.status is RefundStatus.CANCELED
    world.provider.execute(payment.refund_order(made))
    return made


NOT_MADE = {"failed": failed_refund, "canceled": canceled_refund}


@pytest.mark.parametrize("how", NOT_MADE)
def test_money_that_went_back_for_a_refund_that_was_not_made_is_put_before_a_person(world, how):
    """The customer has it, and may be given it once more."""
    made = NOT_MADE[how](world)
    postings = len(world.postings)
    receipt = receive(world, message("refund.succeeded", attempt_id=made.attempt_id))
    result = process_notice(world.ports(), notice_id=str(receipt.id))
    assert (result.status, result.error) == (NoticeStatus.PARKED, ParkedFor.MONEY_MOVED_FOR_GIVEN_UP_ATTEMPT)
    assert (result.payment_id, result.given_up) == (made.payment_id, made.attempt_id)
    notice = only(notices(world))
    assert (notice.status, notice.error, notice.payment_id) == (result.status, result.error, made.payment_id)
    assert only(world.refunds.values()).status is made.status
    assert only(world.payments.values()).amount_refunded == 0
    assert len(world.postings) == postings


@pytest.mark.parametrize("how", NOT_MADE)
@pytest.mark.parametrize(
    "known, status",
    [
        (Succeeded(500), NoticeStatus.PARKED),
        (Succeeded(499), NoticeStatus.PARKED),
        (Accepted(), NoticeStatus.PARKED),
        (Refused("bank_refused"), NoticeStatus.PROCESSED),
        (None, NoticeStatus.PROCESSED),
    ],
)
def test_the_provider_is_asked_about_the_refund_that_was_not_made(world, how, known, status):
    made = NOT_MADE[how](world)
    asked = []
    world.provider.lookup = lambda order: asked.append(order) or known
    assert deliver(world, message("refund.succeeded", attempt_id=made.attempt_id)) is status
    assert asked == [only(world.payments.values()).refund_order(made)]


@pytest.mark.parametrize("how", NOT_MADE)
@pytest.mark.parametrize("silence", [NotExecuted("provider_unreachable"), MayHaveHappened()])
def test_while_a_refund_that_was_not_made_cannot_be_asked_about_the_message_waits(world, how, silence):
    receipt = receive(world, message("refund.succeeded", attempt_id=NOT_MADE[how](world).attempt_id))
    answering, world.provider.lookup = world.provider.lookup, lambda _order: silence
    with pytest.raises(ProviderUnreachable):
        process(world, receipt)
    assert only(notices(world)).status is NoticeStatus.RECEIVED
    world.provider.lookup = answering
    assert process(world, receipt) is NoticeStatus.PARKED


def test_a_refund_that_fails_only_now_is_not_asked_about_twice(world):
    payment = pay(world, "tok_refund_fail")
    returned = refund(world, payment)
    world.provider.let_time_pass()
    world.provider.asked.clear()
    assert deliver(world, message("refund.failed", attempt_id=returned.attempt_id)) is NoticeStatus.PROCESSED
    assert only(world.refunds.values()).status is RefundStatus.FAILED
    assert world.provider.asked == [("lookup", returned.attempt_id)]


def test_a_refund_that_is_made_while_its_canceled_one_is_asked_about_has_the_money(world):
    """The customer repeats the request in that moment: the same key, the same attempt, another refund."""
    canceled = canceled_refund(world)
    world.provider.during = lambda: refund(world, only(world.payments.values()))
    receipt = receive(world, message("refund.succeeded", attempt_id=canceled.attempt_id))
    assert process(world, receipt) is NoticeStatus.PROCESSED
    made = world.refunds[max(world.refunds)]
    assert (made.status, made.attempt_id) == (RefundStatus.SUCCEEDED, canceled.attempt_id)
    assert only(world.payments.values()).amount_refunded == 500
    assert only(notices(world)).error is None


def test_a_refund_that_was_made_is_found_before_the_canceled_one_of_the_same_attempt(world):
    canceled = canceled_refund(world)
    refund(world, only(world.payments.values()))
    assert deliver(world, message("refund.succeeded", attempt_id=canceled.attempt_id)) is NoticeStatus.PROCESSED


@pytest.mark.parametrize("how", NOT_MADE)
def test_an_operator_is_told_of_money_that_went_back_for_a_refund_that_was_not_made(world, how):
    made = NOT_MADE[how](world)
    receipt = receive(world, message("refund.succeeded", attempt_id=made.attempt_id))
    ids = (str(receipt.id), str(made.payment_id), str(made.attempt_id))
    assert told_of(world, receipt) == (1, [ids])


def told_of(world, receipt):
    """Return by how many the counter has gone up, and what the errors in the log name."""
    service = PaymentsService()
    service.ports = world.ports()
    before = REGISTRY.get_sample_value("payments_given_up_attempts_total")
    with structlog.testing.capture_logs() as told:
        service.on_webhook_received({"data": {"id": str(receipt.id)}})
    counted = REGISTRY.get_sample_value("payments_given_up_attempts_total") - before
    errors = [each for each in told if each["log_level"] == "error"]
    return counted, [(each["notice"], each["payment"], each["attempt"]) for each in errors]


@pytest.mark.parametrize("given_up", [True, False])
def test_an_operator_is_told_of_money_that_moved_for_an_attempt_that_was_given_up(world, lost, given_up):
    cancel(world, lost.payment_id)
    if given_up:
        world.provider.execute(lost)
    receipt = receive(world, message(attempt_id=lost.attempt_id, payment_id=lost.payment_id))
    ids = (str(receipt.id), str(lost.payment_id), str(lost.attempt_id))
    assert told_of(world, receipt) == (int(given_up), [ids] * given_up)


# --- news that cross our own commit ---


def crossing(world, change):
    """Have `change` committed after the message's check has looked at the payment, and before it asks."""
    unit_of_work = world.ports().unit_of_work
    opened = []

    def begin():
        opened.append(1)
        # 1: the message is taken; 2: the check looks; 3: it goes on.
        if len(opened) == 3:
            change()
        return unit_of_work()

    return begin


def test_the_news_about_a_charge_are_not_lost_when_our_own_commit_crosses_them(world):
    """The charge's own process notes that it has no answer, in the moment in which the message is followed."""
    results = []

    def tell():
        receipt = receive(world, about(only(world.payments.values())))
        world.provider.answer = MayHaveHappened()
        crossed = crossing(world, lambda: note_silence(world))
        results.append(process(world, receipt, unit_of_work=crossed))

    world.provider.during = tell
    pay(world)
    assert results == [NoticeStatus.PROCESSED]
    assert only(world.payments.values()).status is PaymentStatus.SUCCEEDED


def note_silence(world):
    with FakeUnitOfWork(world.database) as uow:
        (payment,) = (uow.payments.get(each) for each in world.payments)
        payment.settle(MayHaveHappened(), now=world.time, deadlines=DEADLINES)
        payment.version += 1
        uow.commit()


def test_the_news_about_a_refund_are_not_lost_when_our_own_commit_crosses_them(world):
    payment = pay(world)
    results = []

    def tell():
        (pending,) = world.refunds.values()
        receipt = receive(world, message("refund.succeeded", attempt_id=pending.attempt_id))
        world.provider.answer = MayHaveHappened()
        crossed = crossing(world, lambda: note_silence_about_refund(world))
        results.append(process(world, receipt, unit_of_work=crossed))

    world.provider.during = tell
    refund(world, payment)
    assert results == [NoticeStatus.PROCESSED]
    assert only(world.refunds.values()).status is RefundStatus.SUCCEEDED


def note_silence_about_refund(world):
    with FakeUnitOfWork(world.database) as uow:
        (payment,) = (uow.payments.get(each) for each in world.payments)
        (refund,) = (uow.refunds.get(each) for each in world.refunds)
        payment.settle_refund(refund, MayHaveHappened(), now=world.time, deadlines=DEADLINES)
        payment.version += 1
        uow.commit()


@pytest.mark.parametrize("kind", ["payment", "refund"])
def test_an_answer_that_comes_only_when_the_provider_is_asked_again_is_settled(world, kind):
    if kind == "payment":
        content = about(pay(world, "tok_async"))
    else:
        payment = pay(world, "tok_refund_pending")
        content = message("refund.succeeded", attempt_id=refund(world, payment).attempt_id)
    world.provider.let_time_pass()
    world.provider.found = MayHaveHappened()
    assert deliver(world, content) is NoticeStatus.PROCESSED
    assert {each.status for each in (*world.payments.values(), *world.refunds.values())} <= {
        PaymentStatus.SUCCEEDED,
        RefundStatus.SUCCEEDED,
    }


SENT = {"payment.processing": 0, "payment.succeeded": 1, "refund.succeeded": 2}
IN_STEP = (PaymentStatus.PROCESSING, PaymentStatus.SUCCEEDED, PaymentStatus.SUCCEEDED)


@pytest.mark.parametrize("arriving", arrivals(SENT))
def test_every_order_of_the_messages_ends_in_the_same_state(world, arriving):
    """Between the provider's steps, after them, one overtaking another: each makes known how things are then."""
    payment = pay(world, "tok_async")
    contents = {name: about(payment, name, id=name) for name in SENT}
    receipts = []
    for step, names in enumerate(arriving):
        if step == 1:
            world.provider.let_time_pass()
        if step == 2:
            # Our own question, if no message has come so far. The refund's answer is lost.
            check_payment(world.ports(), payment.id)
            world.provider.answer = MayHaveHappened()
            begun = refund(world, payment)
            assert begun.status is RefundStatus.UNKNOWN
            contents["refund.succeeded"] = message("refund.succeeded", attempt_id=begun.attempt_id)
        for name in names:
            receipts.append(receive(world, contents[name]))
            # Each is processed again with every one that comes.
            assert {process(world, each) for each in receipts} == {NoticeStatus.PROCESSED}
            if name != "refund.succeeded":
                assert only(world.payments.values()).status is IN_STEP[step]
    payment = only(world.payments.values())
    assert (payment.status, payment.amount_captured, payment.amount_refunded) == (PaymentStatus.SUCCEEDED, 1050, 500)
    assert (payment.amount_refunding, only(world.refunds.values()).status) == (0, RefundStatus.SUCCEEDED)
    # Captured; the refund begun, and done.
    assert len(world.postings) == 3
    assert [each.type for each in world.events if not each.type.startswith("webhook")] == [
        "payment.created",
        "payment.succeeded",
        "payment.refunded",
    ]


# --- replaying ---


def test_a_parked_message_is_processed_once_more_when_it_makes_sense(world):
    receipt = receive(world, message(attempt_id=new_id()))
    process(world, receipt)
    world.database.events.clear()
    replay_notice(world.ports(), notice_id=receipt.id)
    notice = only(notices(world))
    assert (notice.status, notice.error) == (NoticeStatus.RECEIVED, None)
    assert [(each.type, each.id) for each in world.events] == [("webhook.received", str(notice.id))]
    assert process(world, receipt) is NoticeStatus.PARKED
    assert only(notices(world)).attempts == 2


def test_a_message_that_is_not_there_cannot_be_replayed(world):
    with pytest.raises(NoticeNotFound):
        replay_notice(world.ports(), notice_id=new_id())


def test_all_that_are_parked_are_replayed_or_those_of_a_type(world):
    for number in range(250):
        type = "payout.paid" if number % 5 else "payout.failed"
        deliver(world, message(type, id=f"evt_{number}"))
    deliver(world, about(pay(world), id="evt_fine"))
    assert replay_parked(world.ports(), type="payout.failed") == 50
    assert replay_parked(world.ports(), type="payout.failed") == 0
    assert replay_parked(world.ports()) == 200
    assert {each.status for each in notices(world) if each.event_id != "evt_fine"} == {NoticeStatus.RECEIVED}


@pytest.fixture
def alarm(world, lost):
    """A message about money that moved for an attempt that was given up."""
    cancel(world, lost.payment_id)
    world.provider.execute(lost)
    receipt = receive(world, message(id="evt_alarm", attempt_id=lost.attempt_id, payment_id=lost.payment_id))
    assert process(world, receipt) is NoticeStatus.PARKED
    return receipt


@pytest.mark.parametrize("type", [None, "payment.succeeded"])
def test_an_alarm_is_replayed_by_its_id_only(world, alarm, type):
    """With all others it would be raised again, and again."""
    for number in range(150):
        deliver(world, message(id=f"evt_{number}", attempt_id=new_id()))
    assert replay_parked(world.ports(), type=type) == 150
    assert world.database.committed.notices[alarm.id].status is NoticeStatus.PARKED
    replay_notice(world.ports(), notice_id=alarm.id)
    assert world.database.committed.notices[alarm.id].status is NoticeStatus.RECEIVED


# --- dismissing ---


@pytest.fixture
def parked(world):
    receipt = receive(world, message("payout.paid"))
    assert process(world, receipt) is NoticeStatus.PARKED
    return receipt


def test_a_parked_message_is_dismissed_with_its_reason(world, parked):
    world.time += timedelta(days=1)
    dismiss_notice(world.ports(), notice_id=parked.id, reason="nothing of ours")
    notice = only(notices(world))
    assert (notice.status, notice.error) == (NoticeStatus.DISMISSED, ParkedFor.UNKNOWN_TYPE)
    assert (notice.dismissed_for, notice.processed_at) == ("nothing of ours", world.time)
    # Its event may come once more.
    assert process(world, parked) is NoticeStatus.DISMISSED
    assert only(notices(world)).attempts == 1


def test_a_dismissed_message_can_be_replayed(world, parked):
    dismiss_notice(world.ports(), notice_id=parked.id, reason="nothing of ours")
    replay_notice(world.ports(), notice_id=parked.id)
    notice = only(notices(world))
    assert (notice.status, notice.error, notice.dismissed_for) == (NoticeStatus.RECEIVED, None, None)
    assert process(world, parked) is NoticeStatus.PARKED


def test_an_alarm_is_dismissed_by_its_id_only(world, alarm):
    other = receive(world, message(attempt_id=new_id()))
    process(world, other)
    assert dismiss_parked(world.ports(), type="payment.succeeded", reason="old") == 1
    found = world.database.committed.notices
    assert (found[other.id].status, found[alarm.id].status) == (NoticeStatus.DISMISSED, NoticeStatus.PARKED)
    dismiss_notice(world.ports(), notice_id=alarm.id, reason="refunded at the provider")
    assert world.database.committed.notices[alarm.id].status is NoticeStatus.DISMISSED


def test_parked_messages_of_a_type_are_dismissed_and_no_others(world):
    receipts = [receive(world, message(f"payout.{number % 2}", id=f"evt_{number}")) for number in range(6)]
    for each in receipts[:4]:
        process(world, each)
    assert dismiss_parked(world.ports(), type="payout.1", reason="nothing of ours") == 2
    assert dismiss_parked(world.ports(), type="payout.1", reason="nothing of ours") == 0
    status = [world.database.committed.notices[each.id].status for each in receipts]
    dismissed, parked, received = NoticeStatus.DISMISSED, NoticeStatus.PARKED, NoticeStatus.RECEIVED
    assert status == [parked, dismissed, parked, dismissed, received, received]


def before_its_turn(world, change):
    """Return ports with which something happens between the list of messages and the turn of the first one."""
    opened = []

    def begin():
        opened.append(1)
        # 1: they are listed; 2: the first one's turn.
        if len(opened) == 2:
            change()
        return world.ports().unit_of_work()

    return world.ports(unit_of_work=begin)


def test_what_has_become_an_alarm_when_its_turn_comes_is_left_alone(world, parked):
    def worse():
        with FakeUnitOfWork(world.database) as uow:
            notice = uow.notices.get(parked.id)
            notice.park(ParkedFor.MONEY_MOVED_FOR_GIVEN_UP_ATTEMPT, utc_now())
            uow.notices.save(notice)
            uow.commit()

    assert dismiss_parked(before_its_turn(world, worse), type="payout.paid", reason="old") == 0
    assert only(notices(world)).status is NoticeStatus.PARKED


def test_what_was_dismissed_when_its_turn_comes_is_not_replayed(world, parked):
    def dismissed():
        dismiss_notice(world.ports(), notice_id=parked.id, reason="nothing of ours")

    assert replay_parked(before_its_turn(world, dismissed)) == 0
    assert only(notices(world)).dismissed_for == "nothing of ours"


@pytest.mark.parametrize("becomes", ["replayed", "forgotten"])
def test_what_is_not_parked_any_more_when_its_turn_comes_is_left_alone(world, parked, becomes):
    def change():
        if becomes == "replayed":
            replay_notice(world.ports(), notice_id=parked.id)
        else:
            with FakeUnitOfWork(world.database) as uow:
                uow.notices.forget(utc_now() + timedelta(days=1), parked_for=ParkedFor.UNKNOWN_TYPE, at_most=9)
                uow.commit()

    assert dismiss_parked(before_its_turn(world, change), type="payout.paid", reason="old") == 0
    assert {each.status for each in notices(world)} <= {NoticeStatus.RECEIVED}


def test_only_what_waits_for_a_person_can_be_dismissed(world):
    fresh = receive(world, about(pay(world)))
    for _ in range(2):
        with pytest.raises(NoticeNotParked):
            dismiss_notice(world.ports(), notice_id=fresh.id, reason="old")
        process(world, fresh)
    assert only(notices(world)).status is NoticeStatus.PROCESSED
    with pytest.raises(NoticeNotFound):
        dismiss_notice(world.ports(), notice_id=new_id(), reason="old")


@pytest.mark.parametrize("reason", ["", "x" * 501, "a\0", "\ud800", f"card {CARD}"])
def test_a_reason_that_cannot_be_kept_is_refused(world, parked, reason):
    with pytest.raises(BadArgument):
        dismiss_notice(world.ports(), notice_id=parked.id, reason=reason)
    with pytest.raises(BadArgument):
        dismiss_parked(world.ports(), type="payout.paid", reason=reason)
    assert only(notices(world)).status is NoticeStatus.PARKED


def test_messages_are_listed_newest_first_without_what_they_say(world):
    receipts = [receive(world, message(id=f"evt_{number}")) for number in range(3)]
    listed = list_notices(world.ports(), limit=2)
    assert [each["id"] for each in listed] == [receipts[2].id, receipts[1].id]
    assert "payload" not in listed[0]
    assert list_notices(world.ports(), status=NoticeStatus.PARKED) == []


# --- forgetting ---


def test_what_was_processed_long_ago_is_forgotten_and_what_waits_for_a_person_is_not(world):
    payment = pay(world)
    waiting, *done = (receive(world, about(payment, id=f"evt_{number}")) for number in range(8))
    for each in done:
        process(world, each)
    parked = receive(world, message(id="evt_parked", attempt_id=new_id()))
    process(world, parked)
    world.time = utc_now() + KEPT - timedelta(minutes=1)
    assert forget_notices(world.ports()) == 0
    world.time = utc_now() + KEPT + timedelta(minutes=1)
    commits = world.database.commits
    assert forget_notices(world.ports(), at_once=3) == 7
    # Few in each transaction; the last one is about unknown types.
    assert world.database.commits - commits == 3 + 1
    assert {each.id for each in notices(world)} == {waiting.id, parked.id}
    world.time += timedelta(days=1000)
    assert forget_notices(world.ports()) == 0


def test_what_was_dismissed_is_forgotten_as_long_after_that(world):
    parked = receive(world, message(id="evt_parked", attempt_id=new_id()))
    process(world, parked)
    world.time = dismissed = utc_now() + timedelta(days=100)
    dismiss_notice(world.ports(), notice_id=parked.id, reason="nothing of ours")
    assert forget_notices(world.ports()) == 0
    world.time = dismissed + KEPT
    assert forget_notices(world.ports()) == 0
    world.time += timedelta(minutes=1)
    assert forget_notices(world.ports()) == 1
    assert notices(world) == []


def test_what_nobody_has_asked_about_is_forgotten_after_a_longer_time(world):
    process(world, receive(world, message("payout.paid")))
    world.time = utc_now() + KEPT_UNKNOWN_TYPES - timedelta(minutes=1)
    assert forget_notices(world.ports()) == 0
    world.time = utc_now() + KEPT_UNKNOWN_TYPES + timedelta(minutes=1)
    assert forget_notices(world.ports()) == 1
    assert notices(world) == []

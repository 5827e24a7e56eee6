"""The sandbox beyond the contract of all providers: its tokens, its clock, its books."""

import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from lib.ids import new_id, utc_now
from payments_svc.domain.notice import InvalidNotice
from payments_svc.domain.orders import Authentication, Capture, Void
from payments_svc.domain.outcome import (
    Accepted,
    Authorized,
    MayHaveHappened,
    NotExecuted,
    Refused,
    Succeeded,
    Voided,
)
from payments_svc.infrastructure.sandbox import AttemptChangedError, Latency, SandboxProvider, Terms
from payments_svc.infrastructure.sandbox_tokens import TOKENS
from tests.integration.payments.provider_contract import charge_of, refund_of

DAY = timedelta(days=1)


class Clock:
    def __init__(self):
        self.now = utc_now()

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sandbox(payments_sessions, clock):
    return SandboxProvider(payments_sessions, now=clock)


@pytest.fixture
def ask(payments_sessions):
    def ask(query):
        with payments_sessions() as session:
            return [tuple(row) for row in session.execute(sa.text(query))]

    return ask


@pytest.fixture
def told(ask):
    """Return the types of the messages so far, oldest first."""
    return lambda: [type for (type,) in ask("select type from sandbox_messages order by created_at, id")]


# --- tokens ---


def test_every_token_is_known_and_shows_no_card_number(sandbox):
    for token in TOKENS:
        assert sandbox.check_payment_method(token) is None
        details = sandbox.describe(token)
        assert details.kind == ("bank_debit" if token.startswith("tok_async") else "card")
        assert len(details.last4) == 4


def test_a_token_that_is_no_more_is_refused(sandbox):
    charge = charge_of("tok_of_long_ago")
    assert sandbox.execute(charge) == Refused("unknown_payment_method")
    assert sandbox.lookup(charge) is None


FORGET_TOKENS = "update sandbox_charges set payment_method = 'tok_of_long_ago'"


@pytest.fixture
def forget_tokens(payments_sessions):
    """Have all charges so far made with a token that a later version does not have."""

    def forget_tokens():
        with payments_sessions() as session:
            session.execute(sa.text(FORGET_TOKENS))
            session.commit()

    return forget_tokens


def test_a_slow_charge_whose_token_is_no_more_is_declined_and_keeps_no_other_waiting(
    sandbox, clock, forget_tokens, told
):
    old = charge_of("tok_async")
    sandbox.execute(old)
    forget_tokens()
    fine = charge_of("tok_async")
    sandbox.execute(fine)
    clock.now += DAY
    assert sandbox.settle_due() == 2
    assert sandbox.settle_due() == 0
    assert sandbox.lookup(old) == Refused("unknown_payment_method")
    assert isinstance(sandbox.lookup(fine), Succeeded)
    assert sorted(told()[2:]) == ["payment.failed", "payment.succeeded"]


def test_who_asks_about_a_slow_charge_whose_token_is_no_more_gets_an_answer(sandbox, clock, forget_tokens):
    charge = charge_of("tok_async")
    sandbox.execute(charge)
    forget_tokens()
    clock.now += DAY
    assert sandbox.lookup(charge) == Refused("unknown_payment_method")


@pytest.mark.parametrize("token, capture", [("tok_3ds", True), ("tok_visa", False), ("tok_visa", True)])
def test_nothing_more_is_done_with_a_charge_whose_token_is_no_more(sandbox, forget_tokens, token, capture):
    charge = charge_of(token, capture=capture)
    sandbox.execute(charge)
    forget_tokens()
    order = {
        ("tok_3ds", True): Authentication(new_id(), charge, "succeed"),
        ("tok_visa", False): Capture(new_id(), charge, 1000),
        ("tok_visa", True): refund_of(charge, 1),
    }[token, capture]
    assert sandbox.execute(order) == Refused("unknown_payment_method")
    assert sandbox.execute(order) == Refused("unknown_payment_method")


def test_its_references_are_its_own(sandbox):
    charge = charge_of("tok_visa")
    assert sandbox.execute(charge) == Succeeded(1000, f"ch_{charge.attempt_id.hex}")
    refund = refund_of(charge, 1)
    assert sandbox.execute(refund) == Succeeded(1, f"re_{refund.attempt_id.hex}")


def test_each_attempt_stumbles_once_on_its_own(sandbox):
    for token, outcome in (
        ("tok_error", NotExecuted("provider_error")),
        ("tok_rate_limited", NotExecuted("provider_busy", 1)),
    ):
        assert [sandbox.execute(charge_of(token)) for _ in range(2)] == [outcome] * 2


def test_what_stumbled_is_executed_as_it_was_asked(sandbox, told):
    charge = charge_of("tok_error", capture=False)
    sandbox.execute(charge)
    assert told() == []
    assert isinstance(sandbox.execute(charge), Authorized)
    assert told() == ["payment.authorized"]


# --- one attempt id, one content ---


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": 999},
        {"currency": "USD"},
        {"payment_method": "tok_error"},
        {"capture": False},
        {"payment_id": new_id()},
    ],
)
def test_a_charge_with_another_content_is_our_mistake(sandbox, changed):
    charge = charge_of("tok_visa")
    sandbox.execute(charge)
    with pytest.raises(AttemptChangedError):
        sandbox.execute(replace(charge, **changed))


def test_another_operation_with_the_same_attempt_id_is_our_mistake(sandbox):
    charge, other = charge_of("tok_visa", capture=False), charge_of("tok_visa", capture=False)
    for each in (charge, other):
        sandbox.execute(each)
    capture = Capture(new_id(), charge, 400)
    sandbox.execute(capture)
    for changed in (
        replace(capture, amount=401),
        Void(capture.attempt_id, charge),
        Authentication(capture.attempt_id, charge, "succeed"),
        replace(capture, charge=other),
    ):
        with pytest.raises(AttemptChangedError):
            sandbox.execute(changed)
    refund = refund_of(charge, 100)
    sandbox.execute(refund)
    with pytest.raises(AttemptChangedError):
        sandbox.execute(replace(refund, amount=101))


def test_twenty_calls_leave_one_row_and_one_message(sandbox, ask, told):
    charge = charge_of("tok_visa")
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(sandbox.execute, [charge] * 20))
    assert ask("select attempt_id, calls from sandbox_charges") == [(charge.attempt_id, 20)]
    assert told() == ["payment.succeeded"]


def test_it_remembers_in_another_process(sandbox, payments_sessions):
    charge = charge_of("tok_visa")
    sandbox.execute(charge)
    assert isinstance(SandboxProvider(payments_sessions, now=utc_now).lookup(charge), Succeeded)


def test_our_tables_do_not_know_it(ask):
    assert ask(
        "select conrelid::regclass::text, confrelid::regclass::text from pg_constraint where contype = 'f'"
        " and (conrelid::regclass::text like 'sandbox%') <> (confrelid::regclass::text like 'sandbox%')"
    ) == []  # fmt: skip


# --- time that passes ---


def test_what_is_set_aside_is_let_go_at_its_time(sandbox, clock, told):
    charge = charge_of("tok_visa", capture=False)
    outcome = sandbox.execute(charge)
    assert outcome.until == clock.now + 7 * DAY
    clock.now = outcome.until - timedelta(microseconds=1)
    assert sandbox.lookup(charge) == outcome
    clock.now = outcome.until
    assert sandbox.lookup(charge) == Voided("expired")
    assert sandbox.execute(Capture(new_id(), charge, 1)) == Voided("expired")
    assert sandbox.execute(Void(new_id(), charge)) == Voided("expired")
    assert told() == ["payment.authorized", "payment.canceled"]


def test_a_capture_at_the_last_moment_finds_it_gone(sandbox, clock):
    charge = charge_of("tok_expires", capture=False)
    assert sandbox.execute(charge).until == clock.now + timedelta(seconds=1)
    clock.now += timedelta(seconds=1)
    capture = Capture(new_id(), charge, 1000)
    assert sandbox.execute(capture) == sandbox.lookup(capture) == Voided("expired")


def test_the_operator_says_how_long_things_take(payments_sessions, clock):
    terms = Terms(authorization=DAY, settle_after=timedelta(seconds=30))
    sandbox = SandboxProvider(payments_sessions, now=clock, terms=terms)
    held, slow = charge_of("tok_visa", capture=False), charge_of("tok_async")
    assert sandbox.execute(held).until == clock.now + DAY
    sandbox.execute(slow)
    clock.now += timedelta(seconds=29)
    assert isinstance(sandbox.lookup(slow), Accepted)
    clock.now += timedelta(seconds=1)
    assert isinstance(sandbox.lookup(slow), Succeeded)


def test_what_nobody_asks_about_is_settled_too_and_told_once(sandbox, clock, told):
    slow = [charge_of("tok_async"), charge_of("tok_async_fail"), charge_of("tok_async", capture=False)]
    held = charge_of("tok_expires", capture=False)
    pending, returned = charge_of("tok_refund_pending"), charge_of("tok_refund_fail")
    for charge in (*slow, held, pending, returned):
        sandbox.execute(charge)
    refunds = [refund_of(pending, 10), refund_of(returned, 10)]
    for refund in refunds:
        sandbox.execute(refund)
    before = told()
    assert sandbox.settle_due() == 0
    clock.now += timedelta(seconds=1)
    assert sandbox.settle_due() == 6
    assert sandbox.settle_due() == 0
    for order in (*slow, held, *refunds):
        sandbox.lookup(order)
    assert sorted(told()[len(before) :]) == [
        "payment.authorized",
        "payment.canceled",
        "payment.failed",
        "payment.succeeded",
        "refund.failed",
        "refund.succeeded",
    ]


def test_of_many_that_let_time_pass_each_settles_others(payments_sessions, clock):
    sandboxes = [SandboxProvider(payments_sessions, now=clock) for _ in range(4)]
    for _ in range(20):
        sandboxes[0].execute(charge_of("tok_async"))
    clock.now += timedelta(seconds=1)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda each: sum(each.settle_due(7) for _ in range(8)), sandboxes)) == 20


def test_a_refund_that_is_on_its_way_back_counts_until_it_is_back(sandbox, clock):
    charge = charge_of("tok_refund_fail")
    sandbox.execute(charge)
    sandbox.execute(refund_of(charge, 1000))
    assert sandbox.execute(refund_of(charge, 1)) == Refused("refund_exceeds_charge")
    clock.now += timedelta(seconds=1)
    sandbox.settle_due()
    assert isinstance(sandbox.execute(refund_of(charge, 1000)), Succeeded)


# --- messages: written with the change that they tell of ---


def test_every_change_is_told_also_what_was_answered_at_once(sandbox, told):
    captured, voided = charge_of("tok_visa", capture=False), charge_of("tok_visa", capture=False)
    asked = charge_of("tok_3ds")
    for order in (
        charge_of("tok_visa"),
        charge_of("tok_declined"),
        captured,
        Capture(new_id(), captured, 600),
        refund_of(captured, 100),
        voided,
        Void(new_id(), voided),
        asked,
        Authentication(new_id(), asked, "fail"),
        charge_of("tok_timeout"),
        charge_of("tok_unreachable"),
        charge_of("tok_async"),
    ):
        sandbox.execute(order)
        sandbox.execute(order)
    assert told() == [
        "payment.succeeded",
        "payment.failed",
        "payment.authorized",
        "payment.succeeded",
        "refund.succeeded",
        "payment.authorized",
        "payment.canceled",
        "payment.requires_action",
        "payment.failed",
        "payment.succeeded",
        "payment.processing",
    ]


def test_what_is_refused_at_once_is_not_told(sandbox, told):
    charge = charge_of("tok_visa")
    sandbox.execute(charge)
    before = told()
    sandbox.execute(refund_of(charge, 1001))
    sandbox.execute(Capture(new_id(), charge, 1))
    sandbox.execute(Void(new_id(), charge))
    assert told() == before


def test_a_message_names_what_it_is_about(sandbox, ask):
    charge = charge_of("tok_visa", capture=False)
    sandbox.execute(charge)
    sandbox.execute(Capture(new_id(), charge, 400))
    refund = refund_of(charge, 100)
    sandbox.execute(refund)
    bodies = [json.loads(body) for (body,) in ask("select body from sandbox_messages order by created_at, id")]
    read = [sandbox.interpret(each) for each in bodies]
    assert [each.about for each in read] == ["payment", "payment", "refund"]
    assert [each.attempt_id for each in read] == [charge.attempt_id, charge.attempt_id, refund.attempt_id]
    assert {each.payment_id for each in read} == {charge.payment_id}
    assert len({each.event_id for each in read}) == 3
    assert bodies[1]["data"]["amount_captured"] == 400
    assert abs(read[0].occurred_at - utc_now()) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "payload",
    [
        {"id": "", "type": "payment.succeeded", "created": 1, "data": {}},
        {"id": "evt", "type": 1, "created": 1, "data": {}},
        {"id": "evt", "type": "payment.succeeded", "created": "1", "data": {}},
        {"id": "evt", "type": "payment.succeeded", "created": 10**30, "data": {}},
        {"id": "evt", "type": "payment.succeeded", "created": 1, "data": []},
    ],
)
def test_what_has_another_form_is_no_message(sandbox, payload):
    with pytest.raises(InvalidNotice):
        sandbox.interpret(payload)


def test_a_type_that_it_does_not_know_is_about_nothing(sandbox):
    for type in ("payment.teleported", "payout.paid", "payment", ""):
        notice = sandbox.interpret({"id": "evt", "type": type, "created": 1, "data": {"attempt_id": 5}})
        assert (notice.about, notice.attempt_id) == (None, None)


# --- how long it takes ---


def test_without_a_spread_each_answer_takes_the_same_time(payments_sessions):
    slept = []
    sandbox = SandboxProvider(payments_sessions, now=utc_now, latency=Latency(0.25, sleep=slept.append))
    charge = charge_of("tok_visa")
    assert isinstance(sandbox.execute(charge), Succeeded)
    assert isinstance(sandbox.execute(refund_of(charge, 1)), Succeeded)
    assert isinstance(sandbox.lookup(charge), Succeeded)
    assert slept == [0.25] * 3


def test_half_of_the_answers_take_longer_than_the_median():
    slept = []
    latency = Latency(0.12, spread=0.35, sleep=slept.append)
    assert all(latency.wait() for _ in range(5000))
    assert statistics.median(slept) == pytest.approx(0.12, rel=0.05)
    assert min(slept) > 0.02
    assert 0.2 < statistics.quantiles(slept, n=100)[98] < 0.4


def test_an_answer_after_the_time_limit_is_not_waited_for_but_the_deed_is_done(payments_sessions):
    slept = []
    slow = Latency(60, timeout=8, sleep=slept.append)
    sandbox = SandboxProvider(payments_sessions, now=utc_now, latency=slow)
    quick = SandboxProvider(payments_sessions, now=utc_now)
    held = charge_of("tok_visa", capture=False)
    orders = [charge := charge_of("tok_visa"), refund_of(charge, 1), held, Capture(new_id(), held, 10)]
    assert [sandbox.execute(each) for each in orders] == [MayHaveHappened()] * 4
    assert sandbox.lookup(charge) == MayHaveHappened()
    assert slept == [8] * 5
    assert all(isinstance(quick.lookup(each), Succeeded) for each in orders)

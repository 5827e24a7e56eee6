"""Random payments, captures, cancellations, refunds and messages, with faults, crashes and a clock that jumps.

A process that dies is an exception that nothing catches, at a fault point; after it nothing of the use case runs. When
a history is over, the storm is over, too: time goes on, the job that looks at what is due runs, and then the books have
to be in order, whatever happened.
"""

from collections import Counter
from contextlib import suppress
from datetime import timedelta

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from lib.config import load as load_config
from lib.errors import DomainError, Unavailable
from lib.ids import new_id
from payments_svc.application.cancel_payment import cancel_payment
from payments_svc.application.capture_payment import capture_payment
from payments_svc.application.check_due import check_due
from payments_svc.application.confirm_payment import confirm_payment
from payments_svc.application.create_payment import create_payment
from payments_svc.application.get_payment import get_payment
from payments_svc.application.process_notice import process_notice
from payments_svc.application.receive_notice import receive_notice
from payments_svc.application.refund_payment import refund_payment
from payments_svc.bootstrap import build_ports
from payments_svc.domain.payment_errors import PaymentNotFound
from payments_svc.infrastructure.sandbox import SandboxProvider
from payments_svc.infrastructure.signatures import sign
from tests.conftest import ROOT
from tests.integration.payments.weather import FAULTS, POINTS, world

TOKENS = ["tok_visa"] * 4 + [
    "tok_declined",
    "tok_3ds",
    "tok_3ds",
    "tok_async",
    "tok_async_fail",
    "tok_timeout",
    "tok_error",
    "tok_rate_limited",
    "tok_unreachable",
    "tok_capture_timeout",
    "tok_cancel_timeout",
    "tok_refund_timeout",
    "tok_refund_pending",
    "tok_refund_fail",
    "tok_capture_refused",
    "tok_expires",
]
CURRENCIES = ["EUR", "EUR", "JPY", "KWD"]
STEPS = [timedelta(seconds=2), timedelta(minutes=6), timedelta(hours=2), timedelta(days=2), -timedelta(minutes=3)]
AMOUNTS = st.integers(1, 1000)
WEATHER = st.fixed_dictionaries(
    {
        "fault": st.sampled_from([None] * 4 + list(FAULTS)),
        "crash": st.sampled_from([None] * 5 + list(POINTS)),
    }
)
WHICH = st.integers(0, 10**6)
SECRET = "whsec_machine"
OPEN = ("processing", "unknown", "requires_action", "requires_capture")


def machine(make_world, sessions):
    class Histories(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            self.world = make_world()
            self.user_id = str(new_id())
            self.payments = []
            self.requests = []
            self.told = {}

        # --- requests ---

        def send(self, use_case, weather, **arguments):
            """Make a request with a key of its own, and remember it for repetitions."""
            request = use_case, {"user_id": self.user_id, "idempotency_key": f"key-{len(self.requests)}", **arguments}
            self.requests.append(request)
            self.attempt(len(self.requests) - 1, weather)

        def attempt(self, number, weather):
            use_case, arguments = self.requests[number]
            with self.world.storm(**weather):
                try:
                    body = use_case(self.world.ports, **arguments).body
                except DomainError as refusal:
                    body = {"id": refusal.details.get("payment_id")}
                if body["id"] is not None:
                    # One key is one thing, whatever it is told about it.
                    assert self.told.setdefault(number, body["id"]) == body["id"] or use_case is refund_payment
                    if use_case is create_payment and body["id"] not in self.payments:
                        self.payments.append(body["id"])

        def one(self, which):
            return self.payments[which % len(self.payments)] if self.payments else str(new_id())

        @rule(
            amount=AMOUNTS,
            currency=st.sampled_from(CURRENCIES),
            token=st.sampled_from(TOKENS),
            manual=st.booleans(),
            confirm=st.sampled_from([None, None, None, False]),
            weather=WEATHER,
        )
        def pay(self, amount, currency, token, manual, confirm, weather):
            self.send(
                create_payment,
                weather,
                amount=amount,
                currency=currency,
                payment_method=token,
                capture_method="manual" if manual else "automatic",
                confirm=confirm,
            )

        @rule(which=WHICH, token=st.sampled_from([None, *TOKENS]), weather=WEATHER)
        def confirm(self, which, token, weather):
            self.send(confirm_payment, weather, payment_id=self.one(which), payment_method=token)

        @rule(which=WHICH, result=st.sampled_from(["succeed", "succeed", "fail"]), weather=WEATHER)
        def authenticate(self, which, result, weather):
            self.send(confirm_payment, weather, payment_id=self.one(which), authentication=result)

        @rule(which=WHICH, amount=st.none() | AMOUNTS, weather=WEATHER)
        def capture(self, which, amount, weather):
            self.send(capture_payment, weather, payment_id=self.one(which), amount=amount, may_capture=True)

        @rule(which=WHICH, weather=WEATHER)
        def cancel(self, which, weather):
            self.send(cancel_payment, weather, payment_id=self.one(which))

        @rule(which=WHICH, amount=st.none() | AMOUNTS, weather=WEATHER)
        def refund(self, which, amount, weather):
            self.send(refund_payment, weather, payment_id=self.one(which), amount=amount, may_refund=True)

        @rule(which=WHICH, weather=WEATHER, redelivered=st.booleans())
        def repeat(self, which, weather, redelivered):
            """The client repeats one of its requests, or the broker does."""
            if not self.requests:
                return
            number = which % len(self.requests)
            use_case, arguments = self.requests[number]
            self.requests[number] = use_case, {**arguments, "redelivered": redelivered}
            self.attempt(number, weather)

        @rule(which=WHICH, weather=WEATHER)
        def look(self, which, weather):
            with self.world.storm(**weather), suppress(PaymentNotFound):
                get_payment(self.world.ports, user_id=self.user_id, payment_id=self.one(which))

        # --- what happens by itself ---

        @rule(which=WHICH, weather=WEATHER)
        def message(self, which, weather):
            """The provider tells something: again, late, or before what it told before."""
            with self.world.storm(**weather):
                deliver(self.world, sessions, which)
                process_received(self.world, sessions)

        @rule(step=st.sampled_from(STEPS), weather=WEATHER)
        def time_goes_by(self, step, weather):
            """And the job that looks at what is due runs."""
            self.world.clock.step(step)
            with self.world.storm(**weather):
                self.check()

        def check(self):
            mistakes = []
            check_due(self.world.ports, failed=lambda id, error: mistakes.append((id, error)))
            # A provider that cannot be reached is no mistake.
            assert [each for each in mistakes if not isinstance(each[1], Unavailable)] == []

        # --- the end ---

        def teardown(self):
            for _ in range(40):
                self.world.clock.step(timedelta(days=1))
                process_received(self.world, sessions)
                self.check()
                if not ask(sessions, STILL_OPEN):
                    break
            assert ask(sessions, STILL_OPEN) == []
            for each in (in_balance, as_the_provider_has_it, one_effect_for_each_key, told_once):
                each(sessions)

    return Histories


def deliver(world, sessions, which):
    """Have one of the sandbox's messages stored, as the gateway does."""
    messages = ask(sessions, "select body from sandbox_messages order by id")
    if messages:
        body = messages[which % len(messages)][0].encode()
        signature = sign(body, [SECRET], world.clock())
        receive_notice(world.ports, provider="sandbox", body=body, signature=signature, correlation_id="machine")


def process_received(world, sessions):
    """Have processed what is stored, as the handler does, again and again until it gets through."""
    for (id,) in ask(sessions, "select id::text from webhook_notices where status = 'received' order by id"):
        with suppress(Unavailable):
            process_notice(world.ports, notice_id=id)


def ask(sessions, query):
    with sessions() as session:
        return [tuple(row) for row in session.execute(sa.text(query))]


STILL_OPEN = f"""
    select 'payment', id::text, status from payments where operation is not null or status in {OPEN}
    union all select 'refund', id::text, status from refunds where status in ('pending', 'unknown')
    union all select 'claim', attempt_id::text, status from idempotency_claims where status = 'running'
"""


def in_balance(sessions):
    assert ask(sessions, "select currency, sum(amount) from ledger_entries group by 1 having sum(amount) <> 0") == []
    unbalanced = "select transaction_id from ledger_entries group by 1, currency having sum(amount) <> 0"
    assert ask(sessions, unbalanced) == []
    # Nothing is on its way any more.
    assert ask(sessions, "select sum(amount) from ledger_entries where account = 'refunds_payable'") in (
        [(None,)],
        [(0,)],
    )


def as_the_provider_has_it(sessions):
    ours = ask(
        sessions,
        "select p.id::text, p.amount_captured, p.amount_refunded, p.amount_refunding,"
        " coalesce((select sum(e.amount) from ledger_entries e"
        "  where e.payment_id = p.id and e.account like 'provider:%'), 0),"
        " coalesce((select sum(amount) from refunds r where r.payment_id = p.id and r.status = 'succeeded'), 0)"
        " from payments p",
    )
    theirs = {
        payment_id: (charged, captured, given_back)
        for payment_id, charged, captured, given_back in ask(
            sessions,
            "select c.payment_id::text, count(*) filter (where c.status = 'succeeded'), sum(c.amount_captured),"
            " coalesce(sum((select sum(r.amount) from sandbox_refunds r"
            "  where r.charge_attempt_id = c.attempt_id and r.status = 'succeeded')), 0)"
            " from sandbox_charges c group by 1",
        )
    }
    for payment_id, captured, refunded, refunding, booked, refunds in ours:
        charges, their_captured, given_back = theirs.get(payment_id, (0, 0, 0))
        assert charges <= 1, "charged twice"
        assert (captured, refunded) == (their_captured, given_back)
        assert (booked, refunding, refunds) == (captured - refunded, 0, refunded)
        assert 0 <= refunded <= captured
    # What was set aside is taken or let go of.
    assert ask(sessions, "select 1 from sandbox_charges where status in ('authorized', 'processing')") == []


def one_effect_for_each_key(sessions):
    assert ask(sessions, "select kind, source_id from ledger_entries group by 1, 2 having count(*) > 2") == []
    created = ask(sessions, "select count(*), count(distinct payment_id) from idempotency_claims"
                            " where operation = 'create_payment'")  # fmt: skip
    assert created == [(ask(sessions, "select count(*) from payments")[0][0],) * 2]
    # A refund that was not executed has another in its place, under the same attempt.
    several = "select attempt_id from refunds where status <> 'canceled' group by 1 having count(*) > 1"
    assert ask(sessions, several) == []
    assert ask(sessions, "select 1 from sandbox_refunds where attempt_id not in (select attempt_id from refunds)") == []


def told_once(sessions):
    """As many events as there are things to tell, each once."""
    events = Counter(dict(ask(sessions, "select type, count(*) from outbox group by 1")))
    expected = {
        "payment.created": "select count(*) from payments",
        "payment.succeeded": "select count(*) from payments where status = 'succeeded'",
        "payment.canceled": "select count(*) from payments where status = 'canceled'",
        "payment.refunded": "select count(*) from ledger_entries"
        " where kind = 'refund_settlement' and account = 'refunds_payable'",
        "payment.refund_failed": "select count(*) from refunds where status = 'failed'",
    }
    for type, query in expected.items():
        assert [(events[type],)] == ask(sessions, query), type


def test_random_histories_end_in_order(payments_sessions):
    ports = build_ports(load_config(ROOT / "config.yaml", {}), payments_sessions)

    def sandbox(clock):
        return SandboxProvider(payments_sessions, now=clock, secrets=[SECRET])

    run_state_machine_as_test(
        machine(lambda: world(ports, sandbox), payments_sessions),
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            # Shrinking would take longer than a test may; what failed is short enough to read.
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )

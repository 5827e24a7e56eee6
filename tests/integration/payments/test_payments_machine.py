"""Random payments, captures, cancellations, refunds and messages, with faults, crashes and a clock that jumps.

A process that dies is an exception that nothing catches, at a fault point; after it nothing of the use case runs. At
fault points, too, another process comes in between, with a repetition of the same request perhaps. When
a history is over, the storm is over, too: time goes on, the job that looks at what is due runs, and then the books have
to be in order, whatever happened.
"""

from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
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
from payments_svc.application.follow_account import follow_account
from payments_svc.application.get_payment import get_payment
from payments_svc.application.process_notice import process_notice
from payments_svc.application.receive_notice import receive_notice
from payments_svc.application.refund_payment import refund_payment
from payments_svc.bootstrap import build_ports
from payments_svc.domain.payment_errors import PaymentNotFound
from payments_svc.infrastructure.sandbox import SandboxProvider
from payments_svc.infrastructure.signatures import sign
from tests.conftest import ROOT
from tests.integration.payments.settled_books import IN_ORDER, STILL_OPEN, ask
from tests.integration.payments.weather import FAULTS, GAPS, POINTS, world

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
STEPS = [
    timedelta(seconds=2),
    timedelta(minutes=6),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(days=2),
    -timedelta(minutes=3),
]
AMOUNTS = st.integers(1, 1000)
WEATHER = st.fixed_dictionaries(
    {
        "fault": st.sampled_from([None] * 4 + list(FAULTS)),
        "crash": st.sampled_from([None] * 5 + list(POINTS)),
    }
)
WHICH = st.integers(0, 10**6)
ACTS = [
    *["pay", "confirm", "authenticate", "cancel", "repeat", "look"],
    *["capture"] * 2,
    *["refund"] * 4,
    *["message", "time"] * 2,
    "account",
]
MEANWHILE = ["repeat", "repeat", "look", "message", "time", "capture", "refund", "cancel", "confirm", "account"]
IN_BETWEEN = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"gap": st.sampled_from(GAPS), "what": st.sampled_from(MEANWHILE), "which": st.integers(-9, 9)}
    ),
)
REFUNDABLE = ["tok_visa", "tok_visa", "tok_refund_pending", "tok_refund_fail", "tok_refund_timeout"]
CAPTURABLE = ["tok_visa", "tok_visa", "tok_capture_timeout", "tok_cancel_timeout", "tok_capture_refused", "tok_expires"]
SECRET = "whsec_machine"


def machine(make_world, sessions):
    class Histories(RuleBasedStateMachine):
        @initialize(refundable=st.sampled_from(REFUNDABLE), capturable=st.sampled_from(CAPTURABLE), weather=WEATHER)
        def begin(self, refundable, capturable, weather):
            """In fair weather, with something to refund and something to capture; then something is charged in any."""
            self.world = make_world()
            self.user_id = str(new_id())
            self.payments = []
            self.requests = []
            self.told = {}
            self.changes_of_account = 0
            for token, manual in ((refundable, False), (capturable, True)):
                self.pay({}, amount=1000, currency="EUR", token=token, manual=manual, confirm=None)
            self.pay(weather, amount=1000, currency="EUR", token="tok_visa", manual=False, confirm=None)

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

        def one(self, which, *statuses):
            """Return a payment, three times in four one of which that can be asked."""
            known = self.payments
            if which % 4:
                states = dict(
                    ask(sessions, f"select id::text, status from payments where customer_id = '{self.user_id}'")
                )
                known = [each for each in known if states[each] in statuses] or known
            return known[which % len(known)] if known else str(new_id())

        # One rule for all: of several, Hypothesis chooses each as often as any other, and leaves some out of a history.

        @rule(
            what=st.sampled_from(ACTS),
            which=WHICH,
            step=st.sampled_from(STEPS),
            amount=AMOUNTS,
            all_of_it=st.booleans(),
            token=st.sampled_from(TOKENS),
            another=st.booleans(),
            currency=st.sampled_from(CURRENCIES),
            manual=st.booleans(),
            confirm=st.sampled_from([None, None, None, False]),
            weather=WEATHER,
            in_between=IN_BETWEEN,
        )
        def step(self, what, which, weather, in_between, **drawn):
            if in_between is None:
                self.act(what, which, weather, **drawn)
                return
            number = in_between["which"] + (len(self.requests) if in_between["what"] == "repeat" else which)
            other = partial(self.act, in_between["what"], abs(number), {}, **drawn)
            with self.world.interrupted(in_between["gap"], other):
                self.act(what, which, weather, **drawn)

        def act(self, what, which, weather, step, all_of_it, another, **drawn):
            amount = None if all_of_it else drawn["amount"]
            token = drawn["token"] if another else None
            match what:
                case "pay":
                    self.pay(weather, **drawn)
                case "confirm":
                    payment_id = self.one(which, "requires_payment_method", "requires_confirmation")
                    self.send(confirm_payment, weather, payment_id=payment_id, payment_method=token)
                case "authenticate":
                    result = "fail" if which % 3 == 0 else "succeed"
                    payment_id = self.one(which, "requires_action")
                    self.send(confirm_payment, weather, payment_id=payment_id, authentication=result)
                case "capture":
                    payment_id = self.one(which, "requires_capture")
                    self.send(capture_payment, weather, payment_id=payment_id, amount=amount, may_capture=True)
                case "cancel":
                    payment_id = self.one(which, "requires_capture", "requires_action")
                    self.send(cancel_payment, weather, payment_id=payment_id)
                case "refund":
                    payment_id = self.one(which, "succeeded")
                    self.send(refund_payment, weather, payment_id=payment_id, amount=amount, may_refund=True)
                case "repeat":
                    self.repeat(which, weather)
                case "look":
                    with self.world.storm(**weather), suppress(PaymentNotFound):
                        get_payment(self.world.ports, user_id=self.user_id, payment_id=self.one(which, "unknown"))
                case "message":
                    # The provider tells something: again, late, or before what it told before.
                    with self.world.storm(**weather):
                        deliver(self.world, sessions, which)
                        process_received(self.world, sessions)
                case "account":
                    self.changes_of_account += 1
                    number, disabled = self.changes_of_account, which % 3 == 0
                    follow_account(
                        self.world.ports,
                        event_id=str(new_id()),
                        user_id=self.user_id,
                        sequence=number,
                        disabled=disabled,
                    )
                case "time":
                    # And the job that looks at what is due runs.
                    self.world.clock.step(step)
                    with self.world.storm(**weather):
                        self.check()

        def pay(self, weather, *, amount, currency, token, manual, confirm):
            self.send(
                create_payment,
                weather,
                amount=amount,
                currency=currency,
                payment_method=token,
                capture_method="manual" if manual else "automatic",
                confirm=confirm,
            )

        def repeat(self, which, weather):
            """The client repeats one of its requests, or the broker does."""
            if self.requests:
                number = which % len(self.requests)
                use_case, arguments = self.requests[number]
                self.requests[number] = use_case, {**arguments, "redelivered": which % 2 == 0}
                self.attempt(number, weather)

        def check(self):
            mistakes = []
            check_due(self.world.ports, failed=lambda id, error: mistakes.append((id, error)))
            # A provider that cannot be reached is no mistake.
            assert [each for each in mistakes if not isinstance(each[1], Unavailable)] == []

        # --- the end ---

        def teardown(self):
            for days in range(1, 41):
                self.world.clock.step(timedelta(days=1))
                self.world.provider.arrive()
                process_received(self.world, sessions)
                self.check()
                # A refund that was believed is looked at again after a day, and the clock may have gone back since.
                if days > 1 and not ask(sessions, STILL_OPEN):
                    break
            assert ask(sessions, STILL_OPEN) == []
            for each in IN_ORDER:
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


@pytest.mark.timeout(300)
def test_random_histories_end_in_order(payments_sessions):
    ports = build_ports(load_config(ROOT / "config.yaml", {}), payments_sessions)

    def sandbox(clock):
        return SandboxProvider(payments_sessions, now=clock, secrets=[SECRET])

    run_state_machine_as_test(
        machine(lambda: world(ports, sandbox), payments_sessions),
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            # Shrinking would take longer than a test may; what failed is short enough to read.
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )

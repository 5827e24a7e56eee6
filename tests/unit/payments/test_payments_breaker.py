"""A provider that fails is left alone for a while, and one that asks for it, too."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.ids import new_id
from lib.metrics import REGISTRY
from payments_svc.domain.details import UnknownPaymentMethod
from payments_svc.domain.orders import Charge
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Refused, Succeeded
from payments_svc.infrastructure.breaker import LONGEST_BACK_OFF, Breaker, State

UNREACHABLE = NotExecuted("provider_unreachable")
FAILURES, PAUSE = 3, 10.0


class Scripted:
    """A provider that answers as it is told, and counts."""

    name = "scripted"

    def __init__(self):
        self.answer = Succeeded(1)
        self.known = Succeeded(1)
        self.executed = self.asked = 0
        self.before_answer = lambda: None

    def check_payment_method(self, payment_method):
        raise UnknownPaymentMethod("no", "/payment_method")

    def execute(self, order):
        self.executed += 1
        answer = self.answer
        self.before_answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def lookup(self, order):
        self.asked += 1
        self.before_answer()
        return self.known


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def provider():
    return Scripted()


@pytest.fixture
def breaker(provider, clock):
    return Breaker(provider, failures=FAILURES, pause=PAUSE, clock=clock)


ORDER = Charge(new_id(), new_id(), 1, "EUR", "tok", capture=True)


def fail(breaker, provider, times=FAILURES, answer=UNREACHABLE):
    provider.answer = answer
    for _ in range(times):
        breaker.execute(ORDER)


def gauge(breaker):
    return REGISTRY.get_sample_value("payments_provider_breaker_state", {"provider": breaker.name})


def test_it_stands_for_its_provider(breaker, provider):
    assert breaker.name == "scripted"
    assert breaker.execute(ORDER) == Succeeded(1)
    assert breaker.lookup(ORDER) == Succeeded(1)
    with pytest.raises(UnknownPaymentMethod):
        breaker.check_payment_method("tok")


@pytest.mark.parametrize("failure", [UNREACHABLE, NotExecuted("provider_error"), MayHaveHappened()])
def test_after_failures_in_a_row_nothing_is_executed(breaker, provider, failure):
    fail(breaker, provider, FAILURES - 1, failure)
    assert breaker.state is State.CLOSED
    fail(breaker, provider, 1, failure)
    assert (breaker.state, gauge(breaker)) == (State.OPEN, 2)
    # Surely not executed, whatever the failures were.
    assert breaker.execute(ORDER) == UNREACHABLE
    assert provider.executed == FAILURES


def test_declines_and_successes_end_a_row(breaker, provider):
    for good in (Refused("declined"), Succeeded(1)):
        for _ in range(3):
            fail(breaker, provider, FAILURES - 1)
            fail(breaker, provider, 1, good)
    fail(breaker, provider, 50, Refused("declined"))
    assert breaker.state is State.CLOSED


def test_after_the_pause_one_call_tries_and_closes_the_circuit(breaker, provider, clock):
    fail(breaker, provider)
    clock.now += PAUSE - 0.01
    provider.answer = Succeeded(2)
    assert breaker.execute(ORDER) == UNREACHABLE
    clock.now += 0.01
    seen = []
    provider.before_answer = lambda: seen.append((breaker.state, gauge(breaker)))
    assert breaker.execute(ORDER) == Succeeded(2)
    assert seen == [(State.HALF_OPEN, 1)]
    assert (breaker.state, gauge(breaker)) == (State.CLOSED, 0)
    # And the row is over.
    fail(breaker, provider, FAILURES - 1)
    assert breaker.state is State.CLOSED


def test_a_try_that_fails_opens_it_again_for_the_whole_pause(breaker, provider, clock):
    fail(breaker, provider)
    clock.now += PAUSE
    assert breaker.execute(ORDER) == UNREACHABLE
    assert (breaker.state, provider.executed) == (State.OPEN, FAILURES + 1)
    clock.now += PAUSE - 0.01
    breaker.execute(ORDER)
    assert provider.executed == FAILURES + 1
    clock.now += 0.01
    provider.answer = Succeeded(1)
    assert breaker.execute(ORDER) == Succeeded(1)


def test_only_one_of_many_tries(breaker, provider, clock):
    fail(breaker, provider)
    clock.now += PAUSE
    provider.answer = Succeeded(1)
    others_are_done = threading.Event()
    provider.before_answer = lambda: others_are_done.wait(5)
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(breaker.execute, ORDER) for _ in range(10)]
        refused = [each for each in calls if _done_first(each)]
        assert [each.result() for each in refused] == [UNREACHABLE] * len(refused)
        others_are_done.set()
    assert [each.result() for each in calls].count(Succeeded(1)) == 1
    assert provider.executed == FAILURES + 1


def _done_first(call):
    try:
        return call.result(timeout=0.2) is not None
    except TimeoutError:
        return False


def test_calls_do_not_wait_for_one_another(breaker, provider):
    together = threading.Barrier(4)
    provider.before_answer = lambda: together.wait(5)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(breaker.execute, [ORDER] * 4)) == [Succeeded(1)] * 4


def test_a_late_good_answer_does_not_close_it(breaker, provider):
    provider.answer = Succeeded(1)

    def meanwhile():
        provider.before_answer = lambda: None
        fail(breaker, provider)

    provider.before_answer = meanwhile
    assert breaker.execute(ORDER) == Succeeded(1)
    assert breaker.state is State.OPEN


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), KeyboardInterrupt()])
def test_a_call_that_breaks_counts_and_does_not_keep_it_half_open(breaker, provider, clock, error):
    provider.answer = error
    for _ in range(FAILURES):
        with pytest.raises(type(error)):
            breaker.execute(ORDER)
    assert breaker.state is State.OPEN
    clock.now += PAUSE
    with pytest.raises(type(error)):
        breaker.execute(ORDER)
    assert breaker.state is State.OPEN


# --- questions ---


def test_questions_go_through_one_at_a_time_while_it_is_open(breaker, provider):
    fail(breaker, provider)
    inner = []
    provider.before_answer = lambda: inner.append(breaker.lookup(ORDER)) if not inner else None
    assert breaker.lookup(ORDER) == Succeeded(1)
    assert inner == [UNREACHABLE]
    assert provider.asked == 1
    # That it answers says nothing of whether it would execute.
    assert breaker.state is State.OPEN
    assert breaker.execute(ORDER) == UNREACHABLE


def test_a_question_after_the_pause_is_the_try(breaker, provider, clock):
    fail(breaker, provider)
    clock.now += PAUSE
    assert breaker.lookup(ORDER) == Succeeded(1)
    assert breaker.state is State.CLOSED


def test_what_is_not_known_is_a_good_answer(breaker, provider, clock):
    fail(breaker, provider)
    clock.now += PAUSE
    provider.known = None
    assert breaker.lookup(ORDER) is None
    assert breaker.state is State.CLOSED


def test_questions_without_an_answer_count(breaker, provider):
    provider.known = MayHaveHappened()
    for _ in range(FAILURES):
        breaker.lookup(ORDER)
    assert breaker.state is State.OPEN


def test_good_answers_to_questions_do_not_hide_that_orders_fail(breaker, provider):
    for _ in range(FAILURES):
        fail(breaker, provider, 1)
        breaker.lookup(ORDER)
    assert breaker.state is State.OPEN


# --- a provider that is busy (429) ---


def test_a_busy_provider_is_left_alone_for_as_long_as_it_asks(breaker, provider, clock):
    fail(breaker, provider, 1, NotExecuted("provider_busy", 7))
    provider.answer = Succeeded(1)
    clock.now += 4.5
    assert breaker.execute(ORDER) == NotExecuted("provider_busy", 3)
    assert breaker.lookup(ORDER) == NotExecuted("provider_busy", 3)
    assert (provider.executed, provider.asked) == (1, 0)
    clock.now += 2.5
    assert breaker.execute(ORDER) == Succeeded(1)


def test_who_asks_for_less_does_not_shorten_the_wait(breaker, provider, clock):
    def at_the_same_time():
        provider.before_answer = lambda: None
        fail(breaker, provider, 1, NotExecuted("provider_busy", 9))

    provider.before_answer = at_the_same_time
    fail(breaker, provider, 1, NotExecuted("provider_busy", 1))
    assert breaker.execute(ORDER) == NotExecuted("provider_busy", 9)


def test_to_be_busy_is_no_failure(breaker, provider, clock):
    for _ in range(20):
        fail(breaker, provider, 1, NotExecuted("provider_busy", 1))
        clock.now += 1
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize("asked, left", [(None, 1), (0, 1), (10**9, LONGEST_BACK_OFF)])
def test_what_a_provider_asks_for_has_limits(breaker, provider, asked, left):
    fail(breaker, provider, 1, NotExecuted("provider_busy", asked))
    assert breaker.execute(ORDER) == NotExecuted("provider_busy", left)


def test_a_busy_try_opens_it_again(breaker, provider, clock):
    fail(breaker, provider)
    clock.now += PAUSE
    fail(breaker, provider, 1, NotExecuted("provider_busy", 1))
    assert breaker.state is State.OPEN
    clock.now += 1
    assert breaker.execute(ORDER) == UNREACHABLE


def test_what_was_not_called_is_counted(breaker, provider):
    def refused():
        labels = {"provider": "scripted", "reason": "provider_unreachable"}
        return REGISTRY.get_sample_value("payments_provider_breaker_refused_total", labels) or 0

    before = refused()
    fail(breaker, provider, FAILURES + 4)
    assert refused() - before == 4

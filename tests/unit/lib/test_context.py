"""The context of a call: what travels, what does not, and who sees it."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import container, context
from lib.container import call_context
from lib.context import ANONYMOUS, SYSTEM, Actor, CallContext
from tests.unit.lib.fakes import Clock

ACCOUNT = Actor("account", id="a1", roles=frozenset({"admin"}), session_id="s1", claims={"sub": "a1"})


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(context, "time", clock)
    monkeypatch.setattr(container, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def no_context():
    context.enter(None)
    yield
    context.enter(None)


texts = st.text(min_size=1, max_size=50)


@given(
    correlation_id=texts,
    others=st.fixed_dictionaries(
        {name: st.none() | texts for name in ("access_token", "traceparent", "locale", "client_ip", "user_agent")}
    ),
)
def test_the_headers_of_a_context_describe_it_again(correlation_id, others):
    sent = CallContext(correlation_id, **others)
    headers = sent.headers()
    assert None not in headers.values()
    assert call_context(headers, access_token=headers.get(context.ACCESS_TOKEN)) == sent


def test_the_deadline_travels_as_a_moment_of_the_wall_clock(clock):
    headers = CallContext("c").headers(timeout=2.5)
    assert headers[context.DEADLINE] == int((clock.wall + 2.5) * 1000)
    clock.advance(1)
    assert call_context(headers).remaining(60) == pytest.approx(1.5, abs=0.002)


def test_without_a_timeout_no_deadline_travels():
    assert context.DEADLINE not in CallContext("c", deadline=1.0).headers()


@pytest.mark.parametrize("deadline", [None, "soon", {"a": 1}, [1], float("nan")])
def test_a_deadline_that_is_no_number_is_none(deadline):
    assert call_context({context.DEADLINE: deadline}).remaining(7) == 7


@pytest.mark.parametrize("correlation_id", [None, 5, ["x"], {}])
def test_a_correlation_id_that_is_no_text_is_replaced(correlation_id):
    made = call_context({context.CORRELATION_ID: correlation_id}).correlation_id
    assert len(made) == 32
    assert made != call_context({context.CORRELATION_ID: correlation_id}).correlation_id


@pytest.mark.parametrize(
    ("sender", "as_system", "who"),
    [
        (CallContext("c"), False, {}),
        (CallContext("c", ANONYMOUS), False, {context.ACTOR: "anonymous"}),
        (CallContext("c", ACCOUNT, access_token="t"), False, {context.ACCESS_TOKEN: "t"}),
        # A token that the sender has not looked at itself: the receiver will.
        (CallContext("c", ANONYMOUS, access_token="t"), False, {context.ACCESS_TOKEN: "t"}),
        (CallContext("c", ANONYMOUS), True, {}),
        (CallContext("c", ACCOUNT, access_token="t"), True, {}),
    ],
)
def test_who_acts_is_a_token_or_anonymous_or_the_system(sender, as_system, who):
    headers = sender.headers(as_system=as_system)
    assert {k: v for k, v in headers.items() if k in (context.ACTOR, context.ACCESS_TOKEN)} == who


def test_an_account_whose_token_is_missing_does_not_become_the_system():
    headers = CallContext("c", ACCOUNT).headers()
    assert headers.get(context.ACTOR) == ANONYMOUS.kind


@pytest.mark.parametrize(("deadline", "default", "left"), [(None, 5, 5), (1003, 5, 3), (1009, 5, 5), (990, 5, -10)])
def test_remaining_is_the_nearer_end(clock, deadline, default, left):
    assert CallContext("c", deadline=deadline).remaining(default) == left


def test_the_token_and_the_claims_are_not_in_the_text_of_a_context():
    shown = repr(CallContext("c", ACCOUNT, access_token="hunter2"))
    assert "hunter2" not in shown
    assert "sub" not in shown


@pytest.mark.parametrize(
    ("actor", "roles", "has"),
    [
        (SYSTEM, ("anything",), True),
        (ANONYMOUS, ("admin",), False),
        (ACCOUNT, ("admin",), True),
        (ACCOUNT, ("support", "admin"), True),
        (ACCOUNT, ("support",), False),
        (ACCOUNT, (), False),
    ],
)
def test_roles(actor, roles, has):
    assert actor.has_role(*roles) is has


def test_outside_of_a_call_the_context_is_a_fresh_one_of_the_system_and_stays():
    assert context.current_or_none() is None
    first = context.current()
    assert first.actor is SYSTEM
    assert context.current() is first


def test_using_a_context_ends_with_its_block_also_after_an_error():
    def fail_inside():
        with context.using(CallContext("inner")):
            assert context.current().correlation_id == "inner"
            raise ZeroDivisionError

    with context.using(CallContext("outer")):
        with pytest.raises(ZeroDivisionError):
            fail_inside()
        assert context.current().correlation_id == "outer"
    assert context.current_or_none() is None


def test_a_context_is_private_to_its_thread():
    context.enter(CallContext("mine"))
    seen = []
    thread = threading.Thread(target=lambda: seen.append(context.current_or_none()))
    thread.start()
    thread.join()
    assert seen == [None]
    assert context.current().correlation_id == "mine"

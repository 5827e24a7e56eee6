"""Whatever a client, a thief and the clock do in whatever order: a session has at most one line of live tokens."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from auth_svc.domain.session import RefreshInvalid, RefreshReused, Session, SessionExpired
from lib.errors import Unauthenticated
from lib.ids import new_id
from tests.fakes.auth import POLICY, START, FakeRefreshTokens


class SessionMachine(RuleBasedStateMachine):
    """The model knows every token in order; the session knows two fingerprints. They must agree."""

    @initialize()
    def sign_in(self):
        self.chain = FakeRefreshTokens()
        self.now = START
        id = new_id()
        self.tokens = [self.chain.issue(id)]
        self.rotated_at = None
        self.used_at = START
        self.dead = None
        self.session = Session.open(
            id=id,
            account_id=new_id(),
            token_hash=self.chain.fingerprint(self.tokens[0]),
            amr=("pwd",),
            now=START,
            lifetime=POLICY.lifetime,
        )

    def ask(self, token):
        return self.session.rotate(token, self.chain, now=self.now, policy=POLICY)

    def expected(self, age):
        """Say what presenting the token of `age` rotations ago has to do."""
        if self.dead:
            return self.dead
        if self.now >= START + POLICY.lifetime or self.now - self.used_at > POLICY.idle:
            return SessionExpired
        if age == 0:
            return "rotated"
        if age == 1 and self.now - self.rotated_at < POLICY.grace:
            return "again"
        return RefreshReused

    @rule(age=st.integers(0, 4))
    def present(self, age):
        age = min(age, len(self.tokens) - 1)
        expected = self.expected(age)
        if isinstance(expected, type):
            with pytest.raises(expected):
                self.ask(self.tokens[-1 - age])
            if expected is RefreshReused:
                self.dead = RefreshReused
            return
        given = self.ask(self.tokens[-1 - age])
        if expected == "again":
            assert given == self.tokens[-1]
        else:
            assert expected == "rotated"
            assert given not in self.tokens
            self.tokens.append(given)
            self.rotated_at = self.used_at = self.now

    @rule(guess=st.text(max_size=20))
    def guess(self, guess):
        with pytest.raises(RefreshInvalid):
            self.ask(f"{self.session.id}/{guess}/seal")

    @rule(wait=st.sampled_from([timedelta(seconds=1), timedelta(seconds=10), timedelta(hours=9), timedelta(days=3)]))
    def wait(self, wait):
        self.now += wait

    @rule()
    def sign_out(self):
        self.session.revoke("logout", self.now)
        self.dead = self.dead or RefreshInvalid

    @invariant()
    def at_most_one_token_lives(self):
        if not hasattr(self, "session"):
            return
        # A copy is asked, because asking changes a session.
        live = [token for token in self.tokens if self.would_give_something(token)]
        # The one before the last gives what the last is, so it starts no line of its own.
        assert live in ([], self.tokens[-1:], self.tokens[-2:])
        if self.dead:
            assert live == []

    def would_give_something(self, token):
        copy = replace(self.session)
        try:
            given = copy.rotate(token, self.chain, now=self.now, policy=POLICY)
        except Unauthenticated:
            return False
        assert given == self.tokens[-1] or token == self.tokens[-1]
        return True

    @invariant()
    def the_end_is_told_exactly_once(self):
        if hasattr(self, "session"):
            assert self.session.sequence == (1 if self.dead else 0)
            assert (self.session.revoked_at is not None) == bool(self.dead)


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)

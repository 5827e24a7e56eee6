"""Random acts of a few people, one after the other, held against a small model (`connecting.Model`)."""

from itertools import permutations

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from lib.errors import DomainError
from lib.ids import new_id
from tests.integration.users.connecting import ACTS, Model, counts, do, edges, illegal
from users_svc.application.close_profile import close_profile
from users_svc.application.settle_requests import settle_requests
from users_svc.infrastructure.tables import profiles

PEOPLE = st.integers(0, 2)
PAIRS = st.sampled_from(list(permutations(range(3), 2)))


def machine(ports, sessions, person):
    class People(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            self.model = Model()
            self.people = [person() for _ in range(3)]
            self.gone = set()

        def write(self, user_id, **values):
            with ports.unit_of_work() as uow:
                uow.session.execute(sa.update(profiles).where(profiles.c.id == user_id).values(**values))
                uow.commit()
            if values.get("private") is False:
                settle_requests(ports, user_id=str(user_id), batch=2)

        def attempt(self, act, who, whom):
            a, b = self.people[who], self.people[whom]
            refusal = None
            try:
                do(ports, act, a, b)
            except DomainError as exc:
                refusal = exc.code
            assert refusal == self.model.act(act, a, b), act

        # Hypothesis chooses each rule as often as any other, so what matters most has several.

        @rule(pair=PAIRS)
        def follow(self, pair):
            self.attempt("follow", *pair)

        @rule(pair=PAIRS, act=st.sampled_from(["follow", "accept", "unfollow", "reject"]))
        def follow_or_answer(self, act, pair):
            self.attempt(act, *pair)

        @rule(pair=PAIRS, act=st.sampled_from(["block", "unblock"]))
        def block_or_unblock(self, act, pair):
            self.attempt(act, *pair)

        @rule(act=st.sampled_from(sorted(ACTS)), who=PEOPLE, whom=PEOPLE)
        def anything(self, act, who, whom):
            self.attempt(act, who, whom)

        @rule(who=PEOPLE, change=st.sampled_from(["hide", "hide", "show", "disable", "enable", "enable", "leave"]))
        def change(self, who, change):
            getattr(self, change)(self.people[who], who)

        def hide(self, user_id, _):
            self.write(user_id, private=True)
            self.model.private.add(user_id)

        def show(self, user_id, _):
            self.write(user_id, private=False)
            model = self.model
            model.private.discard(user_id)
            waiting = {each for each in model.edges if each[0] == "request" and each[2] == user_id}
            model.edges = model.edges - waiting | {("follow", *each[1:]) for each in waiting}

        def disable(self, user_id, _):
            self.write(user_id, disabled=True)
            self.model.disabled.add(user_id)

        def enable(self, user_id, _):
            self.write(user_id, disabled=False)
            self.model.disabled.discard(user_id)

        def leave(self, user_id, who):
            close_profile(ports, event_id=str(new_id()), user_id=str(user_id), batch=1)
            self.gone.add(user_id)
            self.people[who] = person()
            self.model.edges = {each for each in self.model.edges if user_id not in each}

        @invariant()
        def exact(self):
            known = {*self.people, *self.gone}
            found = {each for each in edges(sessions) if known & {*each[1:]}}
            assert found == self.model.edges
            assert illegal(found) == set()
            follow = [each for each in found if each[0] == "follow"]
            stored = counts(sessions)
            for user_id in self.people:
                expected = (sum(each[2] == user_id for each in follow), sum(each[1] == user_id for each in follow))
                assert stored[user_id] == expected
            assert not self.gone & stored.keys()

    return People


def test_random_acts_leave_what_the_model_says_and_exact_counts(ports, users_sessions, person):
    run_state_machine_as_test(
        machine(ports, users_sessions, person),
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            # Shrinking would take longer than a test may; what failed is short enough to read.
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )

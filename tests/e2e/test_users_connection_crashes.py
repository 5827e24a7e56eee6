"""kill -9 of users_svc in the middle of thousands of acts: what was acknowledged is there, and the counts are exact."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from nameko.exceptions import RpcTimeout

from lib.cluster import Cluster
from lib.context import SYSTEM, CallContext, new_correlation_id
from lib.errors import Unavailable
from lib.faults import Fault
from lib.ids import new_id
from tests.integration.users.connecting import Model
from tests.support.stack import Stack

pytestmark = pytest.mark.faults

OPERATIONS, GROUPS, KILLS = 5_000, 12, 3
#: longer than a restart usually takes, so that most calls that were under way are answered by the next process
PATIENCE = 6.0
ACTS = ("follow", "follow", "follow", "unfollow", "block", "unblock", "mute", "unmute", "accept", "reject")
RPC = {"accept": "accept_follow_request", "reject": "reject_follow_request"}
EDGES = {
    "follow": "select follower_id, followee_id from follows",
    "request": "select requester_id, target_id from follow_requests",
    "block": "select blocker_id, blocked_id from blocks",
    "mute": "select muter_id, muted_id from mutes",
}


class Group(threading.Thread):
    """A few people of whom nobody else makes anything, and one whom everybody follows; one act after the other.

    An act whose outcome is not known is done again until it is: that is what it means that it may be repeated.
    """

    def __init__(self, cluster: Cluster, number: int, people: list[UUID], private: UUID, star: UUID) -> None:
        super().__init__(name=f"group-{number}", daemon=True)
        self.model, self.done, self.repeated, self.mistakes = Model(), 0, 0, []
        self.model.private.add(private)
        self._cluster, self._people, self._star = cluster, people, star
        self._chance = random.Random(number)

    def run(self) -> None:
        try:
            while self.done < OPERATIONS / GROUPS:
                self._act()
                self.done += 1
        except BaseException as exc:
            self.mistakes.append(repr(exc))
            raise

    def _act(self) -> None:
        who, whom = self._chance.sample(self._people, 2)
        act = self._chance.choice(ACTS)
        if self._chance.random() < 0.25:
            whom, act = self._star, self._chance.choice(("follow", "unfollow"))
        other = "requester_id" if act in RPC else "target_id"
        refusal, tries = None, 0
        while True:
            tries += 1
            view = self._cluster.view(CallContext(new_correlation_id(), actor=SYSTEM), timeout=PATIENCE)
            try:
                getattr(view.users_svc, RPC.get(act, act))(**{"user_id": str(who), other: str(whom)})
            except Fault as exc:
                if exc.kind == "unavailable":
                    continue
                refusal = exc.code
            except RpcTimeout:
                # A process may have begun at the last moment: it is to be through before the next try.
                time.sleep(1.0)
                continue
            except Unavailable:
                time.sleep(0.1)
                continue
            break
        self.repeated += tries > 1
        expected = self.model.act(act, who, whom)
        if refusal != expected and tries == 1:
            self.mistakes.append((act, refusal, expected))


@contextmanager
def clients(stack: Stack) -> Iterator[Cluster]:
    cluster = Cluster({"AMQP_URI": stack.environment["AMQP_URI"]}, name="crash-test", services=["users_svc"])
    cluster.start()
    assert cluster.wait_up(10)
    yield cluster
    cluster.stop()


def add_people(connection: sa.Connection, number: int, private: set[int]) -> list[UUID]:
    people = [new_id() for _ in range(number)]
    for at, user_id in enumerate(people):
        connection.execute(
            sa.text(
                "insert into profiles (id, email, display_name, private, created_at, updated_at)"
                " values (:id, :email, 'Crash', :private, now(), now())"
            ),
            {"id": user_id, "email": f"{user_id.hex}@example.com", "private": at in private},
        )
        connection.execute(sa.text("insert into connection_counts (user_id) values (:id)"), {"id": user_id})
    connection.commit()
    return people


@pytest.mark.timeout(300)
def test_killed_at_random_during_thousands_of_acts_every_acknowledged_one_is_there_and_the_counts_are_exact(
    stack: Stack, database: Any
) -> None:
    chance = random.Random()
    with database("users") as connection:
        people = add_people(connection, 4 * GROUPS + 1, private=set(range(0, 4 * GROUPS, 4)))
    star = people.pop()
    with clients(stack) as cluster:
        groups = [
            Group(cluster, number, people[4 * number : 4 * number + 4], people[4 * number], star)
            for number in range(GROUPS)
        ]
        for group in groups:
            group.start()
        for kill in range(1, KILLS + 1):
            # At a random moment, but each in its part of the work.
            until = OPERATIONS * (kill - 1 + chance.random()) / KILLS * 0.95
            while sum(group.done for group in groups) < until:
                assert any(group.is_alive() for group in groups)
                time.sleep(0.005)
            stack.kill("users_svc")
            stack.start("users_svc", wait=False)
        for group in groups:
            group.join(240)
            assert not group.is_alive(), group.done
    stack.wait_healthy("users_svc")

    assert [group.mistakes for group in groups] == [[]] * GROUPS
    assert sum(group.done for group in groups) >= OPERATIONS
    assert sum(group.repeated for group in groups) > 0, "no act was interrupted"
    with database("users") as connection:
        mine = {*people, star}
        found = {
            (kind, *row) for kind, query in EDGES.items() for row in connection.execute(sa.text(query)) if mine & {*row}
        }
        assert found == set().union(*(group.model.edges for group in groups))
        wrong = connection.execute(
            sa.text(
                "select user_id from connection_counts"
                " where followers <> (select count(*) from follows where followee_id = user_id)"
                " or following <> (select count(*) from follows where follower_id = user_id)"
            )
        )
        assert wrong.all() == []
        numbers: dict[str, list[int]] = {}
        told = "select envelope->>'subject', (envelope->>'sequence')::int from outbox where type like 'user.%'"
        for subject, sequence in connection.execute(sa.text(f"{told} order by position")):
            numbers.setdefault(subject, []).append(sequence)
        for user_id in people:
            each = numbers.get(str(user_id), [])
            assert each == list(range(1, len(each) + 1)), "an event was lost or told twice"

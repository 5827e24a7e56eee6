"""Many at once between the same few people, on PostgreSQL: whatever comes first, the state is a legal one."""

import random
import threading
from itertools import permutations

import pytest
import sqlalchemy as sa
from psycopg2.errors import DeadlockDetected

from lib.errors import DomainError
from lib.ids import new_id
from tests.integration.users.connecting import ACTS, counted, counts, do, edges, events, illegal
from users_svc.application.close_profile import close_profile
from users_svc.application.edit_profile import edit_profile
from users_svc.application.reconcile_counts import reconcile_counts
from users_svc.application.settle_requests import settle_requests
from users_svc.domain.profile import UserNotFound
from users_svc.infrastructure.tables import connection_counts

AT_ONCE = 50


def all_at_once(*calls, refusals=DomainError):
    """Run the calls at the same moment, each in a thread; what the domain refuses is an outcome, nothing else is.

    Who loses a deadlock is run again, as the services' entrypoints do it; here as often as it takes.
    """
    start = threading.Barrier(len(calls))
    errors = []

    def run(call):
        start.wait(20)
        for left in reversed(range(5)):
            try:
                return call()
            except refusals:
                return None
            except Exception as exc:
                if not left or not isinstance(getattr(exc, "orig", None), DeadlockDetected):
                    return errors.append(exc)
        return None

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    assert errors == []


def call(function, *arguments):
    return lambda: function(*arguments)


def exact_and_legal(sessions):
    found = edges(sessions)
    assert illegal(found) == set()
    assert counts(sessions) == counted(sessions)
    return found


def go_public(ports, user_id):
    """Do what the owner does, and then what the service does when it hears of it."""
    edit_profile(ports, user_id=str(user_id), changes={"private": False})
    settle_requests(ports, user_id=str(user_id), batch=7)


def delete(ports, user_id):
    close_profile(ports, event_id=str(new_id()), user_id=str(user_id), batch=5)


@pytest.mark.parametrize("acts", [("follow", "block"), ("follow", "block", "unfollow"), sorted(ACTS)], ids="-".join)
def test_fifty_at_once_between_one_pair_leave_a_legal_state(users_sessions, ports, person, acts):
    for _ in range(3):
        pair = person(), person(private="accept" in acts)
        both_ways = [pair, pair[::-1]]
        all_at_once(*(call(do, ports, acts[n % len(acts)], *both_ways[n // len(acts) % 2]) for n in range(AT_ONCE)))
        found = exact_and_legal(users_sessions)
        if "unblock" not in acts:
            # Who was blocked in the end did not get through with anything after.
            (blocked,) = [each for each in found if pair[0] in each]
            assert blocked[0] == "block"


def test_fifty_at_once_among_a_few_people_leave_a_legal_state(users_sessions, ports, person):
    chance = random.Random(5)
    people = [person(private=number == 0) for number in range(4)]
    pairs, acts = list(permutations(people, 2)), ["follow", "follow", "block", "unfollow", "unblock", "accept", "mute"]
    for _ in range(6):
        all_at_once(*(call(do, ports, chance.choice(acts), *chance.choice(pairs)) for _ in range(AT_ONCE)))
        exact_and_legal(users_sessions)
    numbers = {}
    for event in events(users_sessions):
        numbers.setdefault(event["subject"], []).append(event["sequence"])
    # In the order of the outbox, too: the row that numbers them is the lock.
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())
    assert sum(map(len, numbers.values())) > 20


def test_twenty_follows_at_once_are_one_edge_and_one_event(users_sessions, ports, person):
    ann, bob = person(), person()
    all_at_once(*[call(do, ports, "follow", ann, bob)] * 20)
    assert exact_and_legal(users_sessions) == {("follow", ann, bob)}
    assert [each["type"] for each in events(users_sessions)] == ["user.followed"]


def test_a_popular_account_has_every_follower_counted(users_sessions, ports, person):
    star, fans = person(), [person() for _ in range(AT_ONCE)]
    all_at_once(*(call(do, ports, "follow", fan, star) for fan in fans))
    exact_and_legal(users_sessions)
    assert counts(users_sessions)[star] == (AT_ONCE, 0)


def test_nobody_waits_at_an_account_that_became_public_meanwhile(users_sessions, ports, person):
    for _ in range(5):
        shy, fans = person(private=True), [person() for _ in range(20)]
        calls = [call(do, ports, "follow", fan, shy) for fan in fans]
        all_at_once(*calls[:10], call(go_public, ports, shy), *calls[10:])
        found = exact_and_legal(users_sessions)
        assert {each for each in found if each[2] == shy} == {("follow", fan, shy) for fan in fans}


def test_two_who_asked_each_other_become_public_at_once_and_both_succeed(users_sessions, ports, person):
    for _ in range(10):
        pair = [person(private=True) for _ in range(2)]
        for one, other in (pair, pair[::-1]):
            do(ports, "follow", one, other)
        # Neither is refused, for whatever reason.
        all_at_once(*(call(go_public, ports, each) for each in pair), refusals=())
        found = exact_and_legal(users_sessions)
        assert {each for each in found if pair[0] in each} == {("follow", *pair), ("follow", *pair[::-1])}


def test_many_who_asked_each_other_become_public_at_once_and_all_succeed(users_sessions, ports, person):
    people = [person(private=True) for _ in range(8)]
    for pair in permutations(people, 2):
        do(ports, "follow", *pair)
    all_at_once(*(call(go_public, ports, each) for each in people), refusals=())
    assert exact_and_legal(users_sessions) == {("follow", *pair) for pair in permutations(people, 2)}


def test_an_account_becomes_public_while_it_and_those_who_wait_are_deleted(users_sessions, ports, person):
    for deleted in ("shy", "fans", "both") * 3:
        shy, fans = person(private=True), [person(private=True) for _ in range(12)]
        for fan in fans:
            do(ports, "follow", fan, shy)
            do(ports, "follow", shy, fan)
        going = {"shy": [shy], "fans": fans[:6], "both": [shy, *fans[:6]]}[deleted]
        ends = [call(delete, ports, each) for each in going]
        public = [call(go_public, ports, each) for each in (shy, *fans)]
        # Only who is gone is refused, as unknown.
        all_at_once(*public[:1], *ends, *public[1:], refusals=UserNotFound)
        found = exact_and_legal(users_sessions)
        left = {shy, *fans} - {*going}
        pairs = {(fan, shy) for fan in fans} | {(shy, fan) for fan in fans}
        assert {each for each in found if {shy, *fans} & {*each}} == {
            ("follow", *pair) for pair in pairs if {*pair} <= left
        }
        assert not {*going} & counts(users_sessions).keys()


def test_an_account_that_is_deleted_meanwhile_leaves_no_edge_and_no_count(users_sessions, ports, person):
    for _ in range(5):
        going, others = person(), [person() for _ in range(10)]
        calls = [call(do, ports, act, other, going) for other in others for act in ("follow", "unfollow", "follow")]
        back = [call(do, ports, act, going, other) for other in others for act in ("follow", "block")]
        end = call(delete, ports, going)
        all_at_once(*calls[:15], *back[:10], end, *calls[15:], *back[10:])
        found = exact_and_legal(users_sessions)
        assert not [each for each in found if going in each]
        assert going not in counts(users_sessions)


def test_counts_are_repaired_while_they_change(users_sessions, ports, person):
    people = [person() for _ in range(6)]
    pairs = list(permutations(people, 2))
    with users_sessions() as session:
        session.execute(sa.update(connection_counts).values(followers=40, following=7))
        session.commit()
    changes = [call(do, ports, act, *pair) for pair in pairs for act in ("follow",)]
    all_at_once(*changes, *[call(lambda: reconcile_counts(ports, batch=2))] * 5)
    exact_and_legal(users_sessions)
    assert reconcile_counts(ports) == {"checked": 6, "repaired": []}

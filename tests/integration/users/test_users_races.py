"""Many at once, on PostgreSQL: the same news twenty times, and all roads to one profile together."""

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lib.ids import new_id, utc_now
from tests.integration.users.conftest import DEFAULTS
from users_svc.application.create_user import create_user
from users_svc.application.get_profile import get_profile
from users_svc.application.get_statistics import get_statistics
from users_svc.application.note_arrival import note_arrival
from users_svc.application.open_profile import open_profile
from users_svc.bootstrap import build_ports
from users_svc.domain.profile import Profile
from users_svc.infrastructure.tables import account_states, inbox, metadata, profiles

ROUNDS = 10


class OneAccount:
    """A client of auth_svc that knows one account, under any key, until the next one comes."""

    def __init__(self):
        self.next()

    def next(self):
        self.account = {"id": str(new_id()), "email": "ann@example.com", "name": "Ann"}

    def reserve_account(self, email, name, request_key):
        return self.account | {"status": "invited", "created": True}

    def get_account(self, user_id):
        assert user_id == self.account["id"]
        return self.account | {"status": "invited", "roles": []}


@pytest.fixture
def auth():
    return OneAccount()


@pytest.fixture
def ports(users_sessions, auth):
    return build_ports(DEFAULTS, users_sessions, auth)


def together(*calls):
    """Run the calls at once, each in a thread; return the results, or raise the first error."""
    start = threading.Barrier(len(calls))
    results, errors = [], []

    def run(call):
        start.wait(10)
        try:
            results.append(call())
        except Exception as exc:
            errors.append(exc)

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    if errors:
        raise errors[0]
    return results


def registered(auth, **changes):
    account = auth.account
    news = {"event_id": str(new_id()), "user_id": account["id"], "email": account["email"], "name": account["name"]}
    return news | {"sequence": 1} | changes


def rows(sessions, table):
    with sessions() as session:
        return session.execute(sa.select(table)).mappings().all()


def test_twenty_deliveries_of_one_event_give_one_profile_and_one_count(users_sessions, ports, auth):
    news = registered(auth)
    together(*[lambda: open_profile(ports, **news)] * 20)
    together(*[lambda: note_arrival(ports, event_id=news["event_id"], occurred_at="2026-01-31T12:00:00Z")] * 20)
    assert [str(each["id"]) for each in rows(users_sessions, profiles)] == [auth.account["id"]]
    assert get_statistics(ports, day="2026-01-31").registrations == 1


def test_both_handlers_of_one_event_have_their_effect(users_sessions, ports, auth):
    news = registered(auth)
    together(
        lambda: open_profile(ports, **news),
        lambda: note_arrival(ports, event_id=news["event_id"], occurred_at="2026-01-31T12:00:00Z"),
    )
    assert {(each["handler"], str(each["event_id"])) for each in rows(users_sessions, inbox)} == {
        ("open_profile", news["event_id"]),
        ("note_arrival", news["event_id"]),
    }
    assert len(rows(users_sessions, profiles)) == 1
    assert get_statistics(ports, day="2026-01-31").registrations == 1


def test_no_arrival_is_lost_when_many_come_at_once(ports):
    events = [str(new_id()) for _ in range(20)]
    together(
        *[lambda each=each: note_arrival(ports, event_id=each, occurred_at="2026-01-31T12:00:00Z") for each in events]
    )
    assert get_statistics(ports, day="2026-01-31").registrations == 20


def test_events_in_any_order_end_at_the_newest(users_sessions, ports, auth):
    for _ in range(ROUNDS):
        auth.next()
        news = [registered(auth, email=f"ann{number}@example.com", sequence=number) for number in (3, 1, 5, 2, 4)]
        together(*[lambda each=each: open_profile(ports, **each) for each in news])
    assert {each["email"] for each in rows(users_sessions, profiles)} == {"ann5@example.com"}
    assert {each["email_sequence"] for each in rows(users_sessions, account_states)} == {5}


def test_all_roads_to_one_profile_meet(users_sessions, ports, auth):
    for count in range(1, ROUNDS + 1):
        auth.next()
        news = registered(auth)
        user_id = auth.account["id"]
        together(
            *[lambda news=news: open_profile(ports, **news)] * 3,
            *[lambda: create_user(ports, email="ann@example.com", name="Ann", request_key="one-key")] * 3,
            *[lambda user_id=user_id: get_profile(ports, user_id=user_id)] * 3,
        )
        found = rows(users_sessions, profiles)
        assert len(found) == count
        (mine,) = [each for each in found if str(each["id"]) == user_id]
        assert (mine["email"], mine["display_name"], mine["disabled"]) == ("ann@example.com", "Ann", False)


def test_a_profile_read_before_is_seen_fresh_once_it_is_locked(ports):
    profile = Profile.open(new_id(), email="ann@example.com", name="Ann", now=utc_now())
    with ports.unit_of_work() as uow:
        uow.profiles.add_or_get(profile)
        uow.commit()
    with ports.unit_of_work() as mine:
        seen = mine.session.get(Profile, profile.id)
        assert seen.email == "ann@example.com"
        with ports.unit_of_work() as others:
            others.profiles.add_or_get(profile).email = "new@example.com"
            others.commit()
        assert mine.profiles.add_or_get(profile) is seen
        assert seen.email == "new@example.com"


def test_the_database_gives_one_handle_to_one_person(ports):
    def add(key):
        profile = Profile.open(new_id(), email="ann@example.com", name="Ann", now=utc_now())
        profile.handle_key = key
        with ports.unit_of_work() as uow:
            uow.profiles.add_or_get(profile)
            uow.commit()

    add(None)
    add(None)
    add("hare")
    with pytest.raises(IntegrityError, match="profiles_handle_key_key"):
        add("hare")


def test_the_migrations_make_every_constraint_of_the_tables(users_sessions):
    """Alembic's own comparison does not look at check constraints."""
    expected = {
        each.name
        for table in metadata.tables.values()
        for each in table.constraints
        if isinstance(each, sa.CheckConstraint)
    }
    with users_sessions() as session:
        found = set(session.scalars(sa.text("select conname from pg_constraint where contype = 'c' and conrelid <> 0")))
    assert found == expected
    assert len(expected) > 5

"""An account that nobody has heard of gets its profile in one message to PostgreSQL; one that is not new never does."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lib.errors import Overtaken, SeenBefore
from lib.ids import new_id
from tests.integration.users.test_users_life_cycle import meanwhile

# Its `database` is a fixture: the same questions are asked of the fakes.
from tests.integration.users.test_users_unit_of_work import NOON, add, ann, bury, database, remember, unit_of_work
from tests.support import databases
from tests.support.statements import statements
from users_svc.application.close_profile import close_profile
from users_svc.application.follow_account import follow_account, take_over
from users_svc.application.open_profile import open_profile, profile_of
from users_svc.domain.account_state import AccountNews, AccountState
from users_svc.domain.identity import Identity
from users_svc.domain.profile import UserNotFound
from users_svc.infrastructure.tables import account_states, connection_counts, inbox, profiles, tombstones

__all__ = ["database", "unit_of_work"]

STORED = (account_states, profiles, connection_counts, inbox, tombstones)


@pytest.fixture
def ports(ports):
    """The time stands still, so that what is stored can be compared."""
    return replace(ports, now=lambda: NOON)


@pytest.fixture
def event():
    """The news of one registration, as the event handler passes them on."""
    who = {"user_id": str(new_id()), "email": "ann@example.com", "name": "Ann"}
    return {"event_id": str(new_id()), **who, "sequence": 1}


def account_of(event, **changes):
    """What auth_svc answers when it is asked for the account."""
    return Identity(UUID(event["user_id"]), event["email"], event["name"], **changes)


def news_of(event, **changes):
    news = AccountNews(UUID(event["user_id"]), event["sequence"], email=event["email"], name=event["name"])
    return replace(news, **changes)


@pytest.fixture
def stored(users_sessions):
    """``stored()``: all rows by table, but for when an event was seen."""

    def look():
        return {
            table.name: [{**row, "seen_at": None} for row in users_sessions.all(sa.select(table))] for table in STORED
        }

    return look


def numbers(stored):
    """Return how many rows there are of each of `STORED`."""
    return [len(rows) for rows in stored().values()]


@pytest.fixture
def empty(users_sessions, migrated):
    """``empty()``: forget all that is stored."""
    return lambda: databases.empty(migrated["POSTGRES_SUPERUSER_URL"], "users_sql")


OPENINGS = {
    "event": lambda ports, event: open_profile(ports, **event),
    "answer": lambda ports, event: profile_of(ports, account_of(event)),
}
openings = pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)


@contextmanager
def taking_over(ports, news, event_id=None):
    """Within the block a transaction has written about the account, and has not come to its end."""
    with ports.unit_of_work() as uow:
        assert event_id is None or uow.first_time("open_profile", event_id)
        take_over(uow, news, ports.now())
        uow.session.flush()
        yield uow


# --- what the ports promise ---


def open_new(unit_of_work, user_id, event_id=None):
    with unit_of_work() as uow:
        if event_id:
            uow.note("open_profile", event_id)
        uow.accounts.add(AccountState(user_id, email="new@example.com", name="New"))
        uow.profiles.add(ann(id=user_id, email="new@example.com"))
        uow.commit()


def email_of(unit_of_work, user_id):
    with unit_of_work() as uow:
        profile = uow.profiles.get(user_id)
    return profile and profile.email


def test_what_is_new_is_stored(unit_of_work):
    user_id, event_id = new_id(), str(new_id())
    open_new(unit_of_work, user_id, event_id)
    assert remember(unit_of_work, AccountState(user_id))["email"] == "new@example.com"
    assert email_of(unit_of_work, user_id) == "new@example.com"
    with pytest.raises(SeenBefore):
        open_new(unit_of_work, user_id, event_id)


@pytest.mark.parametrize("there", ["state", "profile", "tombstone"])
def test_what_is_there_already_keeps_everything_out(unit_of_work, there):
    user_id, event_id = new_id(), str(new_id())
    if there == "state":
        remember(unit_of_work, AccountState(user_id, email="ann@example.com"))
    elif there == "profile":
        add(unit_of_work, ann(id=user_id))
    else:
        bury(unit_of_work, user_id)
    with pytest.raises(Overtaken):
        open_new(unit_of_work, user_id, event_id)
    assert email_of(unit_of_work, user_id) == ("ann@example.com" if there == "profile" else None)
    with unit_of_work() as uow:
        assert uow.first_time("open_profile", event_id)
        state = uow.accounts.add_or_get(AccountState(user_id))
        assert (state and state.email) == ("ann@example.com" if there == "state" else None)


# --- the ordinary case, and that it is the same ---


@openings
def test_a_new_account_has_its_profile_in_one_round_trip(ports, event, stored, users_sessions, opening):
    with statements(users_sessions) as sent:
        opening(ports, event)
    assert len(sent) == 1
    assert numbers(stored) == [1, 1, 1, int(opening is OPENINGS["event"]), 0]


@openings
@pytest.mark.parametrize("name", ["Ann", "N" * 300, " \u202eA\n"], ids=["plain", "long", "odd"])
def test_one_message_stores_what_a_transaction_of_several_does(ports, event, stored, empty, opening, name):
    event["name"] = name
    opening(ports, event)
    at_once = stored()
    empty()
    if opening is OPENINGS["event"]:
        news, event_id = news_of(event), event["event_id"]
    else:
        news, event_id = news_of(event, sequence=0, disabled=False), None
    with taking_over(ports, news, event_id) as uow:
        uow.commit()
    assert at_once == stored()
    assert len(at_once["profiles"]) == 1


def test_many_who_take_it_for_new_at_once_make_one(ports, event, stored):
    """Events and answers of one account, none of which has heard of another."""
    start = threading.Barrier(8)

    def run(index):
        start.wait(timeout=10)
        # Two deliveries of each of two events, and four answers.
        OPENINGS["answer" if index % 2 else "event"](ports, event | {"event_id": events[index % 4 // 2]})

    events = [event["event_id"], str(new_id())]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    assert numbers(stored) == [1, 1, 1, 2, 0]
    assert [each["email_sequence"] for each in stored()["account_states"]] == [1]


def test_the_same_event_again_changes_nothing(ports, event, stored):
    open_profile(ports, **event)
    before = stored()
    open_profile(ports, **event | {"email": "other@example.com", "sequence": 9})
    assert stored() == before


def test_an_event_that_cannot_be_stored_leaves_nothing_behind(ports, event, stored):
    with pytest.raises(IntegrityError, match="account_states_email_length"):
        open_profile(ports, **event | {"email": "e" * 321})
    assert not any(stored().values())
    open_profile(ports, **event)
    assert len(stored()["profiles"]) == 1


# --- what is not new ---


def heard(ports, event, **facts):
    follow_account(ports, event_id=str(new_id()), user_id=event["user_id"], sequence=3, **facts)


def test_what_overtook_the_registration_holds(ports, event, stored):
    heard(ports, event, email="ann@example.org")
    heard(ports, event, disabled=True)
    open_profile(ports, **event)
    (profile,), (state,) = stored()["profiles"], stored()["account_states"]
    assert (profile["email"], profile["display_name"], profile["disabled"]) == ("ann@example.org", "Ann", True)
    assert (state["email_sequence"], state["name_sequence"], state["status_sequence"]) == (3, 1, 3)
    assert [each["handler"] for each in stored()["inbox"]].count("open_profile") == 1


def test_a_profile_without_a_state_is_kept_and_gets_one(ports, event, stored):
    add(ports.unit_of_work, ann(id=news_of(event).id, display_name="Annie"))
    open_profile(ports, **event)
    assert [each["display_name"] for each in stored()["profiles"]] == ["Annie"]
    assert [each["name"] for each in stored()["account_states"]] == ["Ann"]


@openings
def test_a_deleted_account_gets_none(ports, event, stored, opening):
    close_profile(ports, event_id=str(new_id()), user_id=event["user_id"])
    if opening is OPENINGS["answer"]:
        with pytest.raises(UserNotFound):
            opening(ports, event)
    else:
        opening(ports, event)
    assert numbers(stored) == [0, 0, 0, 1 + int(opening is OPENINGS["event"]), 1]


# --- at the same moment ---


@pytest.mark.parametrize("first_one", ["commits", "dies"])
def test_of_two_deliveries_at_once_one_has_its_effect(ports, event, stored, users_sessions, first_one):
    with (
        taking_over(ports, news_of(event), event["event_id"]) as uow,
        meanwhile(users_sessions, lambda: open_profile(ports, **event)),
    ):
        if first_one == "commits":
            uow.commit()
        else:
            uow.session.rollback()
    assert numbers(stored) == [1, 1, 1, 1, 0]
    assert stored()["profiles"][0]["version"] == 1


def test_the_event_that_comes_while_a_user_is_being_added_is_taken_over(ports, event, stored, users_sessions):
    with (
        taking_over(ports, news_of(event, sequence=0, disabled=True)) as uow,
        meanwhile(users_sessions, lambda: open_profile(ports, **event)),
    ):
        uow.commit()
    (profile,), (state,) = stored()["profiles"], stored()["account_states"]
    assert (profile["disabled"], state["email_sequence"], state["name_sequence"]) == (True, 1, 1)
    assert len(stored()["inbox"]) == 1


def test_who_adds_a_user_while_the_event_is_being_taken_over_gets_what_it_says(ports, event, stored, users_sessions):
    answers = []
    late = account_of(event | {"email": "old@example.com"})
    with (
        taking_over(ports, news_of(event), event["event_id"]) as uow,
        meanwhile(users_sessions, lambda: answers.append(profile_of(ports, late))),
    ):
        uow.commit()
    assert [each.email for each in answers] == ["ann@example.com"]
    assert [each["email_sequence"] for each in stored()["account_states"]] == [1]


@pytest.mark.parametrize("known", [True, False], ids=["known before", "never heard of"])
@openings
def test_a_deletion_that_is_under_way_is_waited_for(ports, event, stored, users_sessions, opening, known):
    if known:
        heard(ports, event, email="ann@example.org")
    with ports.unit_of_work() as ending:
        account = ending.accounts.add_or_get(AccountState(news_of(event).id))
        ending.accounts.bury(account, NOON)
        ending.session.flush()
        with meanwhile(users_sessions, lambda: opening(ports, event)) as errors:
            ending.commit()
    assert [type(each) for each in errors] == ([UserNotFound] if opening is OPENINGS["answer"] else [])
    assert [numbers(stored)[at] for at in (0, 1, 2, 4)] == [0, 0, 0, 1]


@openings
def test_a_deletion_waits_for_a_message_that_is_under_way(ports, event, stored, users_sessions, opening):
    """The message is stopped half-way: past the tombstones, before the profile."""
    with users_sessions() as stopping:
        row = ann(id=news_of(event).id).fields()
        stopping.execute(sa.insert(profiles).values(row))
        with meanwhile(users_sessions, lambda: opening(ports, event)):
            end = {"event_id": str(new_id()), "user_id": event["user_id"]}
            with meanwhile(users_sessions, lambda: close_profile(ports, **end), waiting=2):
                stopping.rollback()
    assert [numbers(stored)[at] for at in (0, 1, 2, 4)] == [0, 0, 0, 1]

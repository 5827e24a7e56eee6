"""An account's life told to PostgreSQL: in every order, twenty times at once, and while its end is being written."""

import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import permutations
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from lib.errors import DomainError
from lib.ids import new_id
from lib.uow import constraint_of
from tests.integration.users.conftest import DEFAULTS
from tests.integration.users.test_users_races import OneAccount, rows, together
from tests.support import databases
from tests.support.waiting import eventually
from users_svc.application.close_profile import close_profile
from users_svc.application.follow_account import follow_account
from users_svc.application.get_profile import get_profile
from users_svc.application.get_user import get_user
from users_svc.application.note_arrival import note_arrival
from users_svc.application.open_profile import open_profile
from users_svc.bootstrap import build_ports
from users_svc.domain.account_state import AccountNews, AccountState
from users_svc.domain.profile import UserNotFound
from users_svc.infrastructure.tables import account_states, inbox, member_statistics, profiles, tombstones

ROUNDS = 10


@pytest.fixture
def auth():
    return OneAccount()


@pytest.fixture
def ports(users_sessions, auth):
    return build_ports(DEFAULTS, users_sessions, auth)


def life(ports, user_id):
    """Return what may happen to one account: name → call; each call is one event, and may be repeated."""

    def event(sequence, **facts):
        news = {"event_id": str(new_id()), "user_id": user_id, "sequence": sequence, **facts}
        return lambda: follow_account(ports, **news)

    first = {"event_id": str(new_id()), "user_id": user_id, "sequence": 1, "email": "ann@example.com", "name": "A."}
    last = {"event_id": str(new_id()), "user_id": user_id}
    return {
        "registered": lambda: open_profile(ports, **first),
        "claimed": event(2, email="ann@example.com", name="Ann"),
        "email.changed": event(3, email="ann@example.org"),
        "disabled": event(4, disabled=True),
        "enabled": event(5, disabled=False),
        "disabled again": event(6, disabled=True),
        "deleted": lambda: close_profile(ports, **last),
    }


def without(row, *names):
    return {name: value for name, value in row.items() if name not in names}


def ends(sessions, table):
    """Return the different rows of a table, but for whose they are, and how often and when they were written."""
    own = ("id", "created_at", "updated_at", "deleted_at", "version", "sequence")
    found = []
    for row in rows(sessions, table):
        if (each := without(row, *own)) not in found:
            found.append(each)
    return found


NAMES = ("registered", "email.changed", "disabled", "enabled", "deleted")


def test_every_order_ends_in_the_same_state(users_sessions, ports):
    orders = list(permutations((*NAMES[:-1], "disabled again")))
    for order in orders:
        events = life(ports, str(new_id()))
        for name in order:
            events[name]()
    (profile,), (account,) = ends(users_sessions, profiles), ends(users_sessions, account_states)
    assert (profile["email"], profile["display_name"], profile["disabled"]) == ("ann@example.org", "A.", True)
    assert account == {
        "email": "ann@example.org",
        "name": "A.",
        "disabled": True,
        "email_verified": True,
        "email_sequence": 3,
        "name_sequence": 1,
        "status_sequence": 6,
    }
    assert len(rows(users_sessions, profiles)) == len(rows(users_sessions, account_states)) == len(orders)


def test_every_order_in_which_an_account_ends_leaves_a_tombstone_only(users_sessions, ports):
    orders = list(permutations(NAMES))
    for order in orders:
        events = life(ports, str(new_id()))
        for name in order:
            events[name]()
    assert rows(users_sessions, profiles) == rows(users_sessions, account_states) == []
    assert len(rows(users_sessions, tombstones)) == len(orders)


def test_a_whole_life_at_once_ends_in_the_same_state(users_sessions, ports):
    for _ in range(ROUNDS):
        events = life(ports, str(new_id()))
        del events["deleted"]
        together(*[each for each in events.values() for _ in range(3)])
    (profile,), (account,) = ends(users_sessions, profiles), ends(users_sessions, account_states)
    assert (profile["email"], profile["display_name"], profile["disabled"]) == ("ann@example.org", "Ann", True)
    assert (account["email_sequence"], account["name_sequence"], account["status_sequence"]) == (3, 2, 6)


def test_a_whole_life_with_its_end_at_once_leaves_a_tombstone_only(users_sessions, ports, auth):
    def look():
        # Before the end there is something to see.
        with suppress(UserNotFound):
            get_profile(ports, user_id=auth.account["id"])

    for count in range(1, ROUNDS + 1):
        auth.next()
        together(*[each for each in life(ports, auth.account["id"]).values() for _ in range(2)], look, look)
        assert rows(users_sessions, profiles) == rows(users_sessions, account_states) == []
        assert len(rows(users_sessions, tombstones)) == count


@pytest.mark.parametrize("name", ["disabled", "email.changed", "claimed", "deleted"])
def test_twenty_deliveries_of_one_event_have_one_effect(users_sessions, ports, name):
    user_id = str(new_id())
    events = life(ports, user_id)
    if name != "claimed":
        events["registered"]()
    together(*[events[name]] * 20)
    seen = [each["handler"] for each in rows(users_sessions, inbox)]
    handler = "close_profile" if name == "deleted" else "follow_account"
    assert seen.count(handler) == 1
    found = [(each["email"], each["disabled"]) for each in rows(users_sessions, profiles)]
    email = "ann@example.org" if name == "email.changed" else "ann@example.com"
    assert found == ([] if name == "deleted" else [(email, name == "disabled")])
    assert len(rows(users_sessions, tombstones)) == (name == "deleted")


def everything(sessions):
    """Return all rows that come of events, in any order."""
    return {
        table.name: sorted(map(str, (dict(row) for row in rows(sessions, table))))
        for table in (profiles, account_states, tombstones, member_statistics)
    }


def test_all_events_told_again_rebuild_the_same_state(users_sessions, ports, migrated):
    moment = ports.now()
    fixed = replace(ports, now=lambda: moment)
    stories = [list(life(fixed, str(new_id())).values())[:length] for length in range(1, 8)]
    counted = {"event_id": str(new_id()), "occurred_at": "2026-01-31T12:00:00Z"}

    def tell():
        for each in (event for story in stories for event in story):
            each()
        note_arrival(fixed, **counted)

    tell()
    first = everything(users_sessions)
    assert [len(each) for each in first.values()] == [6, 6, 1, 1]
    tell()
    assert everything(users_sessions) == first
    databases.empty(migrated["POSTGRES_SUPERUSER_URL"], "users_sql")
    assert set(map(len, everything(users_sessions).values())) == {0}
    tell()
    assert everything(users_sessions) == first


# --- the end, one step after another ---


@contextmanager
def meanwhile(sessions, call, *, waiting=1):
    """Run `call` in a thread and go on once it waits for a lock; in the end it must have come to its own end.

    :param waiting: how many do then, all in all
    """
    errors = []

    def run():
        try:
            call()
        except DomainError as exc:
            errors.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    waits = sa.text(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        " and pid <> pg_backend_pid()"
    )

    def number():
        # A look of its own each time: within one transaction PostgreSQL shows the same picture again.
        with sessions() as session:
            return session.execute(waits).scalar_one()

    eventually(lambda: number() == waiting)
    yield errors
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("known", [True, False], ids=["known before", "never heard of"])
def test_news_that_come_while_an_account_is_being_deleted_bring_nothing_back(users_sessions, ports, known):
    user_id = str(new_id())
    events = life(ports, user_id)
    if known:
        events["claimed"]()
    with ports.unit_of_work() as ending:
        account = ending.accounts.add_or_get(AccountState(UUID(user_id)))
        ending.profiles.remove(account.id)
        ending.accounts.bury(account, ports.now())
        ending.session.flush()
        with meanwhile(users_sessions, events["registered"]):
            ending.commit()
    assert rows(users_sessions, profiles) == rows(users_sessions, account_states) == []


@pytest.mark.parametrize("known", [True, False], ids=["known before", "never heard of"])
def test_the_end_waits_for_whoever_is_opening_the_profile(users_sessions, ports, known):
    user_id = str(new_id())
    events = life(ports, user_id)
    if known:
        events["disabled"]()
    with ports.unit_of_work() as opening:
        heard = AccountState(UUID(user_id))
        heard.hear(AccountNews(UUID(user_id), 1, email="ann@example.com", name="Ann"))
        opening.accounts.add_or_get(heard)
        with meanwhile(users_sessions, events["deleted"]):
            opening.commit()
    assert rows(users_sessions, profiles) == rows(users_sessions, account_states) == []
    assert [str(each["id"]) for each in rows(users_sessions, tombstones)] == [user_id]


def test_an_owner_who_looks_while_the_account_is_being_deleted_finds_nothing(users_sessions, ports, auth):
    user_id = auth.account["id"]
    with ports.unit_of_work() as ending:
        ending.accounts.bury(ending.accounts.add_or_get(AccountState(UUID(user_id))), ports.now())
        ending.session.flush()
        with meanwhile(users_sessions, lambda: get_profile(ports, user_id=user_id)) as errors:
            ending.commit()
    assert [type(each) for each in errors] == [UserNotFound]
    assert rows(users_sessions, profiles) == []


def test_a_disabled_accounts_user_is_not_there(ports):
    user_id = str(new_id())
    events = life(ports, user_id)
    events["disabled"]()
    events["registered"]()
    with pytest.raises(UserNotFound):
        get_user(ports, user_id=user_id)
    assert get_user(ports, user_id=user_id, viewer_id=user_id).fields["display_name"] == "A."
    events["enabled"]()
    assert get_user(ports, user_id=user_id).fields["display_name"] == "A."


@pytest.mark.parametrize(
    "statement", ["delete from tombstones", "update tombstones set id = id", "truncate tombstones"]
)
def test_the_running_service_takes_no_tombstone_away(users_sessions, ports, statement):
    life(ports, str(new_id()))["deleted"]()
    with users_sessions() as session, pytest.raises(DBAPIError, match="permission denied"):
        session.execute(sa.text(statement))
    assert len(rows(users_sessions, tombstones)) == 1


@pytest.mark.parametrize(
    "change, constraint",
    [
        ("email = ''", "account_states_email_length"),
        ("email = repeat('e', 321)", "account_states_email_length"),
        ("name = ''", "account_states_name_length"),
        ("name = repeat('n', 101)", "account_states_name_length"),
        ("email_sequence = -1", "account_states_sequences_positive"),
        ("name_sequence = -1", "account_states_sequences_positive"),
        ("status_sequence = -1", "account_states_sequences_positive"),
    ],
)
def test_the_database_refuses_what_no_code_may_write(users_sessions, change, constraint):
    with users_sessions() as session:
        session.execute(sa.insert(account_states).values(id=new_id()))
        with pytest.raises(IntegrityError) as refusal:
            session.execute(sa.text(f"update account_states set {change}"))
    assert constraint_of(refusal.value) == constraint

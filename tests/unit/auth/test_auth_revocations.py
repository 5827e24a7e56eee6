"""Where somebody is signed in, and what gateways are told to refuse."""

from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest

from auth_svc.application import list_revocations as revocations_module
from auth_svc.application.list_revocations import list_revocations
from auth_svc.application.list_sessions import list_sessions
from auth_svc.application.pages import InvalidCursor
from auth_svc.domain.account import AccountNotFound
from lib.ids import milliseconds_of, moment_of, new_id
from tests.fakes.auth import START, AuthWorld
from tests.support.auth_accounts import add_account, add_session

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CURSORS = [
    "",
    "x",
    "nonsense",
    "ä",
    "=" * 28,
    urlsafe_b64encode(bytes(21)).decode(),
    5,
    ["x"],
    b"x" * 28,
    "\ud800",
    True,
]


@pytest.fixture
def world():
    return AuthWorld()


@pytest.fixture
def unit_of_work(world):
    return world.ports.unit_of_work


# --- sessions ---


def test_live_sessions_are_listed_newest_first_with_the_one_that_asks(world, unit_of_work):
    ann, bob = add_account(unit_of_work), add_account(unit_of_work, "bob@example.com")
    first = add_session(unit_of_work, ann, ip="192.0.2.7", user_agent=FIREFOX)
    second = add_session(unit_of_work, ann, last_used_at=START + timedelta(hours=1))
    add_session(unit_of_work, ann, revoked_at=START, revoked_reason="logout")
    add_session(unit_of_work, ann, expires_at=START)
    add_session(unit_of_work, ann, last_used_at=START - timedelta(days=8))
    add_session(unit_of_work, bob)
    rows = list_sessions(world.ports, user_id=str(ann.id), session_id=str(first.id))
    assert rows == [
        {
            "id": second.id,
            "device": "unknown",
            "user_agent": None,
            "ip": None,
            "created_at": START,
            "last_seen_at": START + timedelta(hours=1),
            "current": False,
        },
        {
            "id": first.id,
            "device": "Firefox on Linux",
            "user_agent": FIREFOX,
            "ip": "192.0.2.7",
            "created_at": START,
            "last_seen_at": START,
            "current": True,
        },
    ]


@pytest.mark.parametrize("session_id", [None, "nonsense", 5])
def test_without_a_session_that_asks_none_is_the_current_one(world, unit_of_work, session_id):
    ann = add_account(unit_of_work)
    add_session(unit_of_work, ann)
    (row,) = list_sessions(world.ports, user_id=str(ann.id), session_id=session_id)
    assert row["current"] is False


def test_at_most_a_hundred_sessions_are_listed(world, unit_of_work):
    ann = add_account(unit_of_work)
    sessions = [add_session(unit_of_work, ann).id for _ in range(101)]
    assert [row["id"] for row in list_sessions(world.ports, user_id=str(ann.id))] == sessions[:0:-1]


def test_an_account_without_sessions_has_an_empty_list_and_no_account_has_none(world, unit_of_work):
    ann = add_account(unit_of_work)
    assert list_sessions(world.ports, user_id=str(ann.id)) == []
    for user_id in (str(new_id()), "nonsense", None):
        with pytest.raises(AccountNotFound):
            list_sessions(world.ports, user_id=user_id)


# --- revocations ---


def milliseconds(moment):
    return int(moment.timestamp() * 1000)


def test_revocations_hold_ended_sessions_and_accounts_with_their_times(world, unit_of_work):
    moment = START - timedelta(minutes=1, microseconds=-123_456)
    ann = add_account(unit_of_work)
    bob = add_account(unit_of_work, "bob@example.com")
    ended = add_session(unit_of_work, ann, revoked_at=moment, revoked_reason="logout")
    add_session(unit_of_work, ann)
    world.store.accounts[bob.id].not_before = START
    found = list_revocations(world.ports)
    assert found.sessions == {str(ended.id): milliseconds(moment)}
    assert found.accounts == {str(bob.id): milliseconds(START)}
    assert found.next_cursor is None


@pytest.mark.parametrize(("ago", "told"), [(0, True), (900, True), (1500, True), (1501, False), (10_000, False)])
def test_a_revocation_is_told_while_access_tokens_of_then_may_be_good(world, unit_of_work, ago, told):
    ann = add_account(unit_of_work)
    moment = START - timedelta(seconds=ago)
    add_session(unit_of_work, ann, revoked_at=moment, revoked_reason="logout")
    world.store.accounts[ann.id].not_before = moment
    found = list_revocations(world.ports)
    assert (len(found.sessions), len(found.accounts)) == (told, told)


def test_the_time_of_an_account_covers_its_newest_session(world, unit_of_work):
    ann = add_account(unit_of_work)
    session = add_session(unit_of_work, ann)
    world.store.accounts[ann.id].end_sessions(newest=moment_of(session.id), reason="admin", now=START)
    assert list_revocations(world.ports).accounts[str(ann.id)] >= milliseconds_of(session.id)


@pytest.mark.parametrize("sessions", range(6))
@pytest.mark.parametrize("accounts", range(5))
def test_the_pages_of_revocations_make_up_all_of_them(world, unit_of_work, monkeypatch, sessions, accounts):
    monkeypatch.setattr(revocations_module, "AT_MOST", 2)
    people = [add_account(unit_of_work, f"a{index}@example.com") for index in range(5)]
    ended = [add_session(unit_of_work, people[0], revoked_at=START, revoked_reason="x") for _ in range(sessions)]
    for person in people[:accounts]:
        world.store.accounts[person.id].not_before = START
    pages = [list_revocations(world.ports)]
    while pages[-1].next_cursor:
        pages.append(list_revocations(world.ports, cursor=pages[-1].next_cursor))
    assert all(len(page.sessions) + len(page.accounts) <= 2 for page in pages)
    assert all(page.sessions or page.accounts for page in pages[1:])
    assert [id for page in pages for id in page.sessions] == [str(each.id) for each in ended]
    assert [id for page in pages for id in page.accounts] == [str(each.id) for each in people[:accounts]]


@pytest.mark.parametrize("cursor", [*CURSORS, "s", "a", "sAAAA", "z" + "A" * 28], ids=repr)
def test_a_cursor_of_no_revocations_is_refused(world, cursor):
    with pytest.raises(InvalidCursor):
        list_revocations(world.ports, cursor=cursor)


def test_a_cursor_among_sessions_is_none_among_accounts(world, unit_of_work, monkeypatch):
    monkeypatch.setattr(revocations_module, "AT_MOST", 1)
    ann = add_account(unit_of_work)
    for _ in range(2):
        add_session(unit_of_work, ann, revoked_at=START, revoked_reason="x")
    cursor = list_revocations(world.ports).next_cursor
    with pytest.raises(InvalidCursor):
        list_revocations(world.ports, cursor="a" + cursor[1:])

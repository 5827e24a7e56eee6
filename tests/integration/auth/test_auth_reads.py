"""One contract for the lists in memory and on PostgreSQL."""

from datetime import timedelta

import pytest

from auth_svc.application.ports import Origin
from lib.ids import new_id, utc_now
from tests.fakes.auth import POLICY
from tests.fakes.auth_store import START
from tests.support.auth_accounts import add_account, add_session
from tests.support.auth_lists import NOBODY, FakeWorld, SqlWorld

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SECOND = timedelta(seconds=1)


@pytest.fixture(params=["fake", "sql"])
def world(request):
    return FakeWorld() if request.param == "fake" else SqlWorld(request.getfixturevalue("auth_sessions"))


# --- revocations ---


def test_sessions_that_ended_are_told_since_a_moment_in_the_order_of_their_ids(world):
    ann = add_account(world.unit_of_work)
    old, first, second = (
        add_session(world.unit_of_work, ann, revoked_at=moment, revoked_reason="logout")
        for moment in (START - SECOND, START + 2 * SECOND, START)
    )
    add_session(world.unit_of_work, ann)
    expected = [(first.id, START + 2 * SECOND), (second.id, START)]
    assert world.reads.revocations(START, None, 10) == expected
    assert world.reads.revocations(START, None, 1) == expected[:1]
    assert world.reads.revocations(START, first.id, 10) == expected[1:]
    assert world.reads.revocations(START, second.id, 10) == []
    assert world.reads.revocations(START - SECOND, None, 10) == [(old.id, START - SECOND), *expected]


def test_accounts_whose_sessions_all_ended_are_told_in_the_same_way(world):
    people = [add_account(world.unit_of_work, f"a{index}@example.com") for index in range(4)]
    moments = [START - SECOND, START, None, START + SECOND]
    for person, moment in zip(people, moments, strict=True):
        with world.unit_of_work() as uow:
            uow.accounts.get(person.id).not_before = moment
            uow.commit()
    expected = [(people[1].id, START), (people[3].id, START + SECOND)]
    assert world.reads.not_before(START, None, 10) == expected
    assert world.reads.not_before(START, None, 1) == expected[:1]
    assert world.reads.not_before(START, people[1].id, 10) == expected[1:]


# --- sessions ---


def test_live_sessions_come_newest_first_with_their_devices(world):
    ann, bob = add_account(world.unit_of_work), add_account(world.unit_of_work, "bob@example.com")
    now = START + timedelta(days=1)
    first = add_session(world.unit_of_work, ann, ip="192.0.2.7", user_agent=FIREFOX)
    second = add_session(world.unit_of_work, ann, last_used_at=now, user_agent="no known thing")
    add_session(world.unit_of_work, ann, revoked_at=START, revoked_reason="logout")
    add_session(world.unit_of_work, ann, expires_at=now)
    barely = add_session(world.unit_of_work, ann, last_used_at=now - POLICY.idle)
    add_session(world.unit_of_work, ann, last_used_at=now - POLICY.idle - timedelta(microseconds=1))
    add_session(world.unit_of_work, bob)
    rows = world.reads.sessions(ann.id, now, POLICY.idle, 10)
    assert [row["id"] for row in rows] == [barely.id, second.id, first.id]
    assert rows[1]["device"] == "unknown"
    assert rows[2] == {
        "id": first.id,
        "device": "Firefox on Linux",
        "user_agent": FIREFOX,
        "ip": "192.0.2.7",
        "created_at": START,
        "last_seen_at": START,
    }
    assert [row["id"] for row in world.reads.sessions(ann.id, now, POLICY.idle, 2)] == [barely.id, second.id]
    assert world.reads.sessions(new_id(), now, POLICY.idle, 10) == []


# --- accounts ---


@pytest.fixture
def people(world):
    return {
        "ann": add_account(world.unit_of_work, "Ann@Example.com", name="Ann MÜLLER"),
        "bob": add_account(world.unit_of_work, "bob@example.org", name="Bob 100% \\o/", roles=("admin", "finance")),
        "eve": add_account(world.unit_of_work, "eve_x@example.net", name="Eve", status="invited"),
        "mallory": add_account(world.unit_of_work, "mallory@example.com", name="Mallory", status="disabled"),
    }


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["mallory", "eve", "bob", "ann"]),
        ({"query": "müll"}, ["ann"]),
        ({"query": "ANN@EXAMPLE"}, ["ann"]),
        ({"query": "example"}, []),
        ({"query": "%"}, ["bob"]),
        ({"query": "100%"}, ["bob"]),
        ({"query": "1%%"}, []),
        ({"query": "\\"}, ["bob"]),
        ({"query": "\\o/"}, ["bob"]),
        ({"query": "_"}, []),
        ({"query": "e_e"}, []),
        ({"query": "eve_"}, ["eve"]),
        ({"query": "eve-"}, []),
        ({"query": "'; drop table accounts; --"}, []),
        ({"query": ":status"}, []),
        ({"query": "%(status)s"}, []),
        ({"status": "invited"}, ["eve"]),
        ({"status": "active"}, ["bob", "ann"]),
        ({"role": "finance"}, ["bob"]),
        ({"role": "support"}, []),
        ({"query": "a", "status": "disabled"}, ["mallory"]),
        ({"query": "a", "status": "active", "role": "admin"}, []),
        ({"at_most": 2}, ["mallory", "eve"]),
    ],
    ids=repr,
)
def test_accounts_are_found(world, people, filters, found):
    assert [row["id"] for row in world.accounts(**filters)] == [people[name].id for name in found]


def test_accounts_go_on_where_the_last_page_ended(world, people):
    ids = [row["id"] for row in world.accounts()]
    assert [row["id"] for row in world.accounts(before=ids[1])] == ids[2:]
    assert [row["id"] for row in world.accounts(before=ids[1], at_most=1, status="active")] == ids[2:3]
    assert world.accounts(before=ids[-1]) == []


def test_an_account_is_shown_with_its_last_sign_in(world, people):
    eve, mallory = people["eve"], people["mallory"]
    add_session(world.unit_of_work, mallory, now=START)
    add_session(world.unit_of_work, mallory, now=START + SECOND, revoked_at=START + SECOND, revoked_reason="logout")
    rows = {row["id"]: row for row in world.accounts()}
    assert rows[mallory.id] == {
        "id": mallory.id,
        "email": "mallory@example.com",
        "name": "Mallory",
        "email_verified": True,
        "status": "disabled",
        "roles": (),
        "disabled_reason": "before the test",
        "created_at": START,
        "last_login_at": START + SECOND,
    }
    assert rows[eve.id]["last_login_at"] is None
    assert rows[people["ann"].id]["email"] == "Ann@Example.com"
    assert rows[people["bob"].id]["roles"] == ("admin", "finance")


# --- the audit trail ---


def test_an_entry_comes_back_as_it_was_written(world):
    ann, session = new_id(), new_id()
    world.origin = Origin("account", "request-1", ann, session, ip="192.0.2.7", user_agent=FIREFOX)
    before = utc_now()
    world.write_down("email.changed", account_id=ann, details={"ways": ["a", 1, None]}, personal={"old": "ä@b.example"})
    (row,) = world.entries()
    assert before <= row.pop("occurred_at") <= utc_now()
    assert row == {
        "id": row["id"],
        "kind": "email.changed",
        "outcome": "success",
        "actor_kind": "account",
        "actor_id": ann,
        "account_id": ann,
        "session_id": session,
        "request_id": "request-1",
        "details": {"ways": ["a", 1, None]},
        "personal": {"ip": "192.0.2.7", "user_agent": FIREFOX, "old": "ä@b.example"},
        "device": "Firefox on Linux",
    }


def test_who_acts_is_told_by_a_token_or_by_what_was_shown(world):
    ann, bob, session = new_id(), new_id(), new_id()
    world.origin = Origin("anonymous", "request-1", ip="192.0.2.7")
    world.write_down("login.succeeded", account_id=ann, actor_id=ann, session_id=session)
    world.write_down("login.failed", account_id=ann, outcome="failure")
    world.origin = Origin("system", "request-2")
    world.write_down("account.deleted", account_id=ann)
    world.origin = Origin("account", "request-3", bob, ip="198.51.100.9")
    world.write_down("account.disabled", account_id=ann, actor_id=ann, personal={"reason": "spam"})
    told = [(row["actor_kind"], row["actor_id"], row["outcome"], row["session_id"]) for row in world.entries()]
    assert told == [
        ("account", bob, "success", None),
        ("system", None, "success", None),
        ("anonymous", None, "failure", None),
        ("account", ann, "success", session),
    ]
    assert [row["personal"] for row in world.entries()] == [
        {"ip": "198.51.100.9", "reason": "spam"},
        {},
        {"ip": "192.0.2.7"},
        {"ip": "192.0.2.7"},
    ]


def test_entries_are_filtered_and_go_on_where_the_last_page_ended(world):
    ann, bob, root = new_id(), new_id(), new_id()
    world.origin = Origin("account", "request-1", root)
    for account in (ann, bob, ann):
        world.write_down("account.disabled", account_id=account)
    world.origin = NOBODY
    world.write_down("login.failed", account_id=ann, outcome="failure")
    rows = world.entries()
    assert [row["account_id"] for row in rows] == [ann, ann, bob, ann]
    assert world.entries(account_id=ann) == [rows[0], rows[1], rows[3]]
    assert world.entries(actor_id=root) == rows[1:]
    assert world.entries(kind="account.disabled", account_id=ann) == [rows[1], rows[3]]
    assert world.entries(kind="account%") == []
    assert world.entries(before=rows[1]["id"]) == rows[2:]
    assert world.entries(before=rows[0]["id"], account_id=ann, at_most=1) == [rows[1]]


def test_forgetting_somebody_leaves_the_entries_and_takes_what_is_personal(world):
    ann, bob = new_id(), new_id()
    for account in (ann, bob):
        world.origin = Origin("account", "request-1", account, ip="192.0.2.7", user_agent=FIREFOX)
        world.write_down("password.changed", account_id=account)
    with world.unit_of_work() as uow:
        uow.audit.forget(ann)
        uow.commit()
    assert [(row["account_id"], row["personal"].get("ip"), row["device"]) for row in world.entries()] == [
        (bob, "192.0.2.7", "Firefox on Linux"),
        (ann, None, "unknown"),
    ]

"""One contract for the lists in memory and on PostgreSQL."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from auth_svc.application.ports import Origin
from auth_svc.infrastructure import secret_key
from auth_svc.infrastructure.audit import AuditWriter
from auth_svc.infrastructure.reads import SqlReads
from auth_svc.infrastructure.sql import AuthUnitOfWork
from auth_svc.infrastructure.subject_keys import SubjectKeys
from auth_svc.infrastructure.tables import map_domain
from lib.ids import new_id, utc_now
from tests.fakes.auth import POLICY
from tests.fakes.auth_reads import FakeReads
from tests.fakes.auth_store import START, FakeStore, FakeUnitOfWork
from tests.support.auth_accounts import add_account, add_session

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SECOND = timedelta(seconds=1)
NOBODY = Origin("anonymous", "request-0")


class World:
    """The lists and what fills them; `origin` is where the next entry of the audit trail comes from."""

    origin = NOBODY

    def write_down(self, kind, **entry):
        with self.unit_of_work() as uow:
            uow.audit.add(kind, **entry)
            uow.commit()

    def entries(self, *, at_most=100, before=None, **filters):
        wanted = {"account_id": None, "actor_id": None, "kind": None, **filters}
        return self.reads.audit_events(**wanted, before=before, at_most=at_most)

    def accounts(self, *, at_most=100, before=None, **filters):
        wanted = {"query": None, "status": None, "role": None, **filters}
        return self.reads.accounts(**wanted, before=before, at_most=at_most)


class FakeWorld(World):
    def __init__(self):
        store = FakeStore()
        store.origin = lambda: self.origin
        self.unit_of_work = lambda: FakeUnitOfWork(store)
        self.reads = FakeReads(store)


class SqlWorld(World):
    def __init__(self, sessions):
        map_domain()
        keys = SubjectKeys(secret_key.seal_with("a-secret-key", secret_key.SUBJECT_KEYS))
        self.unit_of_work = lambda: AuthUnitOfWork(sessions, AuditWriter(keys, lambda: self.origin))
        self.reads = SqlReads(sessions, keys)


@pytest.fixture(params=["fake", "sql"])
def world(request):
    return FakeWorld() if request.param == "fake" else SqlWorld(request.getfixturevalue("auth_sessions"))


@pytest.fixture
def sql(auth_sessions):
    return SqlWorld(auth_sessions)


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
        "email_verified": False,
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


# --- what only the database does ---


def test_personal_data_stands_nowhere_in_clear(sql, auth_sessions):
    ann = new_id()
    sql.origin = Origin("account", "request-1", ann, ip="192.0.2.77", user_agent="Somebody's Browser")
    sql.write_down("account.disabled", account_id=ann, personal={"reason": "a very private reason"})
    with auth_sessions() as session:
        (row,) = session.execute(sa.text("select t::text from audit_events t")).scalars()
        (cipher,) = session.execute(sa.text("select personal from audit_events")).scalars()
        (key,) = session.execute(sa.text("select sealed_key from subject_keys")).scalars()
    for secret in ("192.0.2.77", "Somebody", "private reason"):
        assert secret not in row
        assert secret.encode() not in bytes(cipher) + bytes(key)
        assert secret.encode().hex() not in row


def test_what_is_encrypted_for_one_entry_says_nothing_in_another(sql, database):
    ann = new_id()
    for ip in ("192.0.2.1", "192.0.2.2"):
        sql.origin = Origin("account", "request-1", ann, ip=ip)
        sql.write_down("password.changed", account_id=ann)
    with database("auth_sql") as superuser:
        superuser.execute(
            sa.text("update audit_events set personal = (select personal from audit_events order by id limit 1)")
        )
    assert [row["personal"] for row in sql.entries()] == [{}, {"ip": "192.0.2.1"}]


EXPECTED_INDEXES = {
    "sessions_revoked_at_idx": lambda reads: reads.revocations(START, None, 10),
    "accounts_not_before_idx": lambda reads: reads.not_before(START, None, 10),
    "sessions_account_id_idx": lambda reads: reads.sessions(new_id(), START, POLICY.idle, 10),
    "audit_events_account_id_idx": lambda reads: reads.audit_events(
        account_id=new_id(), actor_id=None, kind=None, before=new_id(), at_most=10
    ),
    "audit_events_actor_id_idx": lambda reads: reads.audit_events(
        account_id=None, actor_id=new_id(), kind=None, before=None, at_most=10
    ),
    "audit_events_kind_idx": lambda reads: reads.audit_events(
        account_id=None, actor_id=None, kind="login.failed", before=None, at_most=10
    ),
    "audit_events_pkey": lambda reads: reads.audit_events(
        account_id=None, actor_id=None, kind=None, before=None, at_most=10
    ),
    "accounts_admins_idx": lambda reads: reads.accounts(query=None, status=None, role="admin", before=None, at_most=10),
}


@pytest.mark.parametrize("index", EXPECTED_INDEXES)
def test_every_list_has_an_index_also_when_filters_are_left_out(sql, auth_sessions, index):
    plans = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        with connection.connection.dbapi_connection.cursor() as other:
            # Without this a table of no rows is read as a whole.
            other.execute("set enable_seqscan = off")
            other.execute("set enable_sort = off")
            other.execute("explain " + statement, parameters)
            plans.append("\n".join(row[0] for row in other.fetchall()))
            other.execute("reset enable_seqscan")
            other.execute("reset enable_sort")

    sa.event.listen(auth_sessions.engine, "before_cursor_execute", explain)
    EXPECTED_INDEXES[index](sql.reads)
    assert len(plans) == 1
    assert index in plans[0], plans[0]

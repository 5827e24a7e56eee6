"""Lists in pages: accounts, the audit trail, the own security events."""

from base64 import urlsafe_b64encode

import pytest

from auth_svc.application.list_accounts import InvalidQuery, UnknownStatus, list_accounts
from auth_svc.application.list_audit_events import InvalidFilter, list_audit_events
from auth_svc.application.list_security_events import list_security_events
from auth_svc.application.pages import InvalidCursor, InvalidLimit
from auth_svc.application.ports import Origin
from auth_svc.domain.account import AccountNotFound
from auth_svc.domain.roles import UnknownRole
from lib.ids import new_id
from tests.fakes.auth import AuthWorld
from tests.support.auth_accounts import add_account

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


def write_down(world, kind="password.changed", origin=None, **entry):
    before, world.origin = world.origin, origin or world.origin
    with world.ports.unit_of_work() as uow:
        uow.audit.add(kind, **entry)
        uow.commit()
    world.origin = before


def ids(page):
    return [row["id"] for row in page.data]


# --- pages, shown on accounts ---


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
def test_the_pages_make_up_the_list_newest_first(world, unit_of_work, limit):
    expected = [add_account(unit_of_work, f"a{index}@example.com").id for index in range(8)][::-1]
    found, cursor = [], None
    while True:
        page = list_accounts(world.ports, limit=limit, cursor=cursor)
        assert 0 < len(page.data) <= limit
        found += ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == expected


def test_a_new_account_does_not_shift_the_next_page(world, unit_of_work):
    expected = [add_account(unit_of_work, f"a{index}@example.com").id for index in range(4)][::-1]
    first = list_accounts(world.ports, limit=2)
    add_account(unit_of_work, "new@example.com")
    second = list_accounts(world.ports, limit=2, cursor=first.next_cursor)
    assert ids(first) + ids(second) == expected


def listings(world):
    """Each list in pages."""
    user = str(new_id())
    return {
        "accounts": lambda **page: list_accounts(world.ports, **page),
        "audit": lambda **page: list_audit_events(world.ports, **page),
        "security": lambda **page: list_security_events(world.ports, user_id=user, **page),
    }


LISTS = ["accounts", "audit", "security"]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("limit", [0, -1, 101, 10**9, 1.0, "20", None, True, [20]], ids=repr)
def test_a_limit_that_is_none_is_refused(world, name, limit):
    with pytest.raises(InvalidLimit) as refusal:
        listings(world)[name](limit=limit)
    assert refusal.value.code == "invalid_limit"
    assert refusal.value.details["errors"][0]["pointer"] == "/limit"


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("cursor", CURSORS, ids=repr)
def test_a_cursor_that_is_none_is_refused(world, name, cursor):
    with pytest.raises(InvalidCursor) as refusal:
        listings(world)[name](cursor=cursor)
    assert refusal.value.code == "invalid_cursor"


def test_a_cursor_that_was_changed_or_is_another_lists_is_refused(world, unit_of_work):
    for index in range(3):
        account = add_account(unit_of_work, f"a{index}@example.com")
        write_down(world, account_id=account.id)
        write_down(world, account_id=account.id)
    cursor = list_accounts(world.ports, limit=1).next_cursor
    changed = [cursor[:place] + ("B" if cursor[place] != "B" else "C") + cursor[place + 1 :] for place in range(28)]
    for other in [*changed, cursor[:-1], cursor + "A", cursor + "\n"]:
        with pytest.raises(InvalidCursor):
            list_accounts(world.ports, cursor=other)
    for filters in ({"status": "active"}, {"query": "a"}, {"role": "admin"}):
        with pytest.raises(InvalidCursor):
            list_accounts(world.ports, cursor=cursor, **filters)
    with pytest.raises(InvalidCursor):
        list_audit_events(world.ports, cursor=cursor)
    own = list_security_events(world.ports, user_id=str(account.id), limit=1).next_cursor
    with pytest.raises(InvalidCursor):
        list_security_events(world.ports, user_id=str(new_id()), cursor=own)


def test_blanks_are_no_query_so_that_their_cursors_fit_the_whole_list(world, unit_of_work):
    older = add_account(unit_of_work)
    add_account(unit_of_work, "b@example.com")
    cursor = list_accounts(world.ports, query="  ", limit=1).next_cursor
    assert ids(list_accounts(world.ports, cursor=cursor)) == [older.id]


# --- accounts ---


@pytest.fixture
def people(world, unit_of_work):
    return {
        "ann": add_account(unit_of_work, "Ann@example.com", name="Ann Müller"),
        "bob": add_account(unit_of_work, "bob@example.org", name="Bob 100% Smith", roles=("finance",)),
        "eve": add_account(unit_of_work, "eve_x@example.net", name="Eve", status="invited"),
        "mallory": add_account(unit_of_work, "mallory@example.com", name="Mallory", status="disabled"),
    }


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["mallory", "eve", "bob", "ann"]),
        ({"query": None}, ["mallory", "eve", "bob", "ann"]),
        ({"query": "  "}, ["mallory", "eve", "bob", "ann"]),
        ({"query": "müller"}, ["ann"]),
        ({"query": "mu\u0308ller"}, ["ann"]),
        ({"query": " l"}, ["mallory", "ann"]),
        ({"query": "ANN@EX"}, ["ann"]),
        ({"query": "example.com"}, []),
        ({"query": "%"}, ["bob"]),
        ({"query": "_"}, []),
        ({"query": "eve_"}, ["eve"]),
        ({"query": "x" * 254}, []),
        ({"status": "invited"}, ["eve"]),
        ({"status": "disabled"}, ["mallory"]),
        ({"role": "finance"}, ["bob"]),
        ({"role": "admin"}, []),
        ({"role": "user"}, ["mallory", "eve", "bob", "ann"]),
        ({"query": "m", "status": "active"}, ["bob", "ann"]),
    ],
)
def test_accounts_are_found(world, people, filters, found):
    assert ids(list_accounts(world.ports, **filters)) == [people[name].id for name in found]


@pytest.mark.parametrize(
    "query",
    ["x" * 255, "x" * 100_000, "nul\x00", "\x1b[2J", "\ud800", 5, ["a"], {"a": 1}],
    ids=lambda each: repr(each)[:12],
)
def test_a_query_that_is_none_is_refused(world, query):
    with pytest.raises(InvalidQuery) as refusal:
        list_accounts(world.ports, query=query)
    assert refusal.value.details["errors"][0]["pointer"] == "/query"


@pytest.mark.parametrize("status", ["", "Active", "gone", 1, ["active"]], ids=repr)
def test_an_unknown_status_is_refused(world, status):
    with pytest.raises(UnknownStatus) as refusal:
        list_accounts(world.ports, status=status)
    assert refusal.value.details["errors"][0]["pointer"] == "/status"


def test_an_unknown_role_is_refused(world):
    with pytest.raises(UnknownRole) as refusal:
        list_accounts(world.ports, role="root")
    assert refusal.value.details["errors"][0]["pointer"] == "/role"


# --- the audit trail ---


def test_entries_are_found_by_whom_they_are_about_by_who_acted_and_by_kind(world):
    root, ann, bob = new_id(), new_id(), new_id()
    acting = Origin("account", "request-1", actor_id=root)
    write_down(world, "account.disabled", origin=acting, account_id=ann)
    write_down(world, "account.disabled", origin=acting, account_id=bob)
    write_down(world, "login.failed", account_id=ann, outcome="failure")

    def kinds(**filters):
        return [(row["kind"], row["account_id"]) for row in list_audit_events(world.ports, **filters).data]

    disabled_ann, disabled_bob, failed = ("account.disabled", ann), ("account.disabled", bob), ("login.failed", ann)
    assert kinds() == [failed, disabled_bob, disabled_ann]
    assert kinds(account_id=str(ann)) == [failed, disabled_ann]
    assert kinds(actor_id=str(root)) == [disabled_bob, disabled_ann]
    assert kinds(kind="login.failed") == [failed]
    assert kinds(account_id=str(ann), actor_id=str(root), kind="account.disabled") == [disabled_ann]
    assert kinds(account_id=str(new_id())) == []


@pytest.mark.parametrize(
    ("filters", "pointer"),
    [
        ({"account_id": "nonsense"}, "/account_id"),
        ({"account_id": 5}, "/account_id"),
        ({"actor_id": ""}, "/actor_id"),
        ({"kind": ""}, "/kind"),
        ({"kind": "x" * 65}, "/kind"),
        ({"kind": "nul\x00"}, "/kind"),
        ({"kind": "\ud800"}, "/kind"),
        ({"kind": ["login.failed"]}, "/kind"),
    ],
)
def test_a_filter_that_is_none_is_refused_and_named(world, filters, pointer):
    with pytest.raises(InvalidFilter) as refusal:
        list_audit_events(world.ports, **filters)
    assert refusal.value.code == "invalid_filter"
    assert refusal.value.details["errors"][0]["pointer"] == pointer


# --- the own security events ---


def shown(world, user):
    return list_security_events(world.ports, user_id=str(user)).data


def test_an_owner_sees_where_the_owner_was(world):
    ann, session = new_id(), new_id()
    own = Origin("account", "request-1", actor_id=ann, session_id=session, ip="192.0.2.7", user_agent=FIREFOX)
    write_down(world, origin=own, account_id=ann, personal={"new_email": "secret@example.com"})
    (row,) = shown(world, ann)
    assert row["personal"] == {"ip": "192.0.2.7", "user_agent": FIREFOX}
    assert (row["device"], row["session_id"], row["request_id"]) == ("Firefox on Linux", session, "request-1")


def test_an_owner_sees_failed_sign_ins_and_where_a_stranger_was(world):
    ann = new_id()
    stranger = Origin("anonymous", "request-1", ip="198.51.100.66", user_agent="curl/8.5.0")
    write_down(world, "login.failed", origin=stranger, account_id=ann, outcome="failure", details={"locked": True})
    (row,) = shown(world, ann)
    assert (row["kind"], row["outcome"], row["details"]) == ("login.failed", "failure", {"locked": True})
    assert (row["personal"], row["device"]) == ({"ip": "198.51.100.66", "user_agent": "curl/8.5.0"}, "curl")


def test_an_owner_sees_what_administrators_did_but_not_from_where_nor_why(world):
    ann, root = new_id(), new_id()
    acting = Origin("account", "request-1", actor_id=root, session_id=new_id(), ip="10.0.0.1", user_agent=FIREFOX)
    write_down(world, "account.disabled", origin=acting, account_id=ann, personal={"reason": "looks like spam"})
    (row,) = shown(world, ann)
    assert row["kind"] == "account.disabled"
    assert (row["personal"], row["device"], row["session_id"]) == ({}, None, None)


def test_nobody_sees_the_events_of_others(world):
    ann, bob = new_id(), new_id()
    write_down(world, account_id=bob)
    write_down(world, origin=Origin("account", "request-1", actor_id=ann), account_id=bob)
    assert shown(world, ann) == []


@pytest.mark.parametrize("user_id", ["nonsense", None, 5])
def test_the_events_of_nobody_are_not_found(world, user_id):
    with pytest.raises(AccountNotFound):
        list_security_events(world.ports, user_id=user_id)

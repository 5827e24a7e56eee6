"""The RPC methods for administrators and about records: who may call them, and what they answer."""

import json

import pytest

from auth_svc.application.ports import Origin
from auth_svc.domain.reason import InvalidReason
from auth_svc.presentation.service import AuthService
from lib.context import ANONYMOUS, SYSTEM, Actor
from lib.errors import Forbidden, Unauthenticated
from lib.every import Every
from lib.ids import new_id, rfc3339
from tests.fakes.auth import START, AuthWorld
from tests.support.auth_accounts import add_account, add_session

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ADMINISTRATORS = {
    "list_accounts",
    "disable_account",
    "enable_account",
    "set_roles",
    "end_account_sessions",
    "list_audit_events",
}


@pytest.fixture
def world():
    return AuthWorld()


@pytest.fixture
def service(world):
    service = AuthService()
    service.ports = world.ports
    return service


@pytest.fixture
def root(world):
    account = add_account(world.ports.unit_of_work, "root@example.com", name="Root", roles=("admin",))
    world.origin = Origin("account", "request-7", account.id, new_id(), ip="198.51.100.9", user_agent=FIREFOX)
    return account


@pytest.fixture
def ann(world):
    return add_account(world.ports.unit_of_work)


def may(name, actor, **arguments):
    (entrypoint,) = getattr(AuthService, name).nameko_entrypoints
    try:
        entrypoint.allow(actor, arguments)
    except (Forbidden, Unauthenticated):
        return False
    return True


def account_with(*roles, id=None):
    return Actor("account", id=id or str(new_id()), roles=frozenset(roles))


@pytest.mark.parametrize("name", sorted(ADMINISTRATORS))
def test_only_administrators_and_the_system_administer(name):
    user = str(new_id())
    arguments = {"account_id": user, "user_id": user, "actor_id": user}
    assert may(name, account_with("admin"), **arguments)
    assert may(name, SYSTEM, **arguments)
    assert not may(name, ANONYMOUS, **arguments)
    assert not may(name, account_with(id=user), **arguments)
    assert not may(name, account_with("support", "finance", "user", "Admin", id=user), **arguments)


def test_sessions_are_shown_to_their_owner_and_to_administrators():
    user = str(new_id())
    assert may("list_sessions", account_with(id=user), user_id=user)
    assert may("list_sessions", account_with("admin"), user_id=user)
    assert not may("list_sessions", account_with("support", "finance"), user_id=user)
    assert not may("list_sessions", ANONYMOUS, user_id=user)


def test_security_events_are_shown_to_their_owner_alone():
    user = str(new_id())
    assert may("list_security_events", account_with(id=user), user_id=user)
    assert not may("list_security_events", account_with("admin"), user_id=user)
    assert not may("list_security_events", ANONYMOUS, user_id=user)


def test_revocations_are_no_secret():
    assert may("get_revocations", ANONYMOUS)


def test_all_of_them_may_run_again_when_the_first_run_lost_a_race():
    names = {*ADMINISTRATORS, "list_sessions", "list_security_events", "get_revocations"}
    assert all(getattr(AuthService, name).nameko_entrypoints for name in names)
    assert {
        name for name in names for each in getattr(AuthService, name).nameko_entrypoints if each.idempotent
    } == names


def test_accounts_are_listed_with_their_last_sign_in(service, world, root, ann):
    add_session(world.ports.unit_of_work, ann, authenticated_at=START)
    assert service.list_accounts() == {
        "data": [
            {
                "id": str(ann.id),
                "email": "ann@example.com",
                "name": "Ann",
                "email_verified": True,
                "status": "active",
                "roles": [],
                "disabled_reason": None,
                "created_at": rfc3339(START),
                "last_login_at": rfc3339(START),
            },
            {
                "id": str(root.id),
                "email": "root@example.com",
                "name": "Root",
                "email_verified": True,
                "status": "active",
                "roles": ["admin"],
                "disabled_reason": None,
                "created_at": rfc3339(START),
                "last_login_at": None,
            },
        ],
        "next_cursor": None,
    }
    page = service.list_accounts(query="ann", status="active", role="user", limit=1)
    assert [each["id"] for each in page["data"]] == [str(ann.id)]


def test_an_administrator_gets_the_account_as_it_is_afterwards(service, world, root, ann):
    id = str(ann.id)
    assert service.disable_account(account_id=id, reason="spam")["status"] == "disabled"
    assert service.enable_account(account_id=id, reason="appeal")["status"] == "active"
    assert service.set_roles(account_id=id, roles=["finance"], reason="joined")["roles"] == ["finance"]
    shown = service.end_account_sessions(account_id=id, reason="stolen")
    assert shown == service.get_account(user_id=id)


def test_the_audit_trail_tells_administrators_everything(service, world, root, ann):
    service.disable_account(account_id=str(ann.id), reason="spam")
    (entry,) = service.list_audit_events()["data"]
    stored = world.store.audit[0]
    assert entry == {
        "id": str(stored.id),
        "kind": "account.disabled",
        "outcome": "success",
        "occurred_at": rfc3339(stored.occurred_at),
        "account_id": str(ann.id),
        "actor_kind": "account",
        "actor_id": str(root.id),
        "session_id": str(world.origin.session_id),
        "ip": "198.51.100.9",
        "user_agent": FIREFOX,
        "device": "Firefox on Linux",
        "request_id": "request-7",
        "reason": "spam",
        "personal": {},
        "details": {},
    }
    for filters in ({"account_id": str(ann.id)}, {"actor_id": str(root.id)}, {"kind": "account.disabled"}):
        # Reading the trail is in it, too.
        found = [each for each in service.list_audit_events(**filters)["data"] if each["kind"] != "audit.read"]
        assert found == [entry]
        assert service.list_audit_events(**dict.fromkeys(filters, str(new_id())))["data"] == []


def test_what_administrators_look_at_is_in_the_audit_trail_and_their_own_is_not(service, world, root, ann):
    service.list_accounts(query="ann", status="active", reason="a call")
    service.get_account(user_id=str(ann.id))
    service.list_sessions(user_id=str(ann.id), reason="lost phone")
    service.list_audit_events(kind="login.failed")
    service.get_account(user_id=str(root.id))
    service.list_sessions(user_id=str(root.id))
    assert [(each.kind, each.account_id, each.details, each.personal) for each in world.store.audit] == [
        ("accounts.listed", None, {"status": "active", "role": None}, {"query": "ann", "reason": "a call"}),
        ("account.read", ann.id, {}, {}),
        ("sessions.read", ann.id, {}, {"reason": "lost phone"}),
        ("audit.read", None, {"account_id": None, "actor_id": None, "kind": "login.failed"}, {}),
    ]
    with pytest.raises(InvalidReason):
        service.get_account(user_id=str(ann.id), reason="")


def test_other_personal_data_is_shown_beside_the_known(service, world, root, ann):
    with world.ports.unit_of_work() as uow:
        uow.audit.add("email.changed", account_id=ann.id, personal={"old_email": "a@example.com"})
        uow.commit()
    (entry,) = service.list_audit_events()["data"]
    assert (entry["personal"], entry["reason"], entry["ip"]) == ({"old_email": "a@example.com"}, None, "198.51.100.9")


def test_the_owner_reads_the_same_without_who_and_why(service, world, root, ann):
    service.disable_account(account_id=str(ann.id), reason="looks like spam")
    page = service.list_security_events(user_id=str(ann.id))
    stored = world.store.audit[0]
    assert page == {
        "data": [
            {
                "id": str(stored.id),
                "kind": "account.disabled",
                "outcome": "success",
                "occurred_at": rfc3339(stored.occurred_at),
                "session_id": None,
                "ip": None,
                "user_agent": None,
                "device": None,
                "request_id": "request-7",
                "details": {},
            }
        ],
        "next_cursor": None,
    }
    assert "spam" not in json.dumps(page)
    assert str(root.id) not in json.dumps(page)


def test_sessions_are_listed_with_their_devices(service, world, ann):
    session = add_session(world.ports.unit_of_work, ann, ip="192.0.2.7", user_agent=FIREFOX)
    assert service.list_sessions(user_id=str(ann.id), session_id=str(session.id)) == {
        "data": [
            {
                "id": str(session.id),
                "device": "Firefox on Linux",
                "user_agent": FIREFOX,
                "ip": "192.0.2.7",
                "created_at": rfc3339(START),
                "last_seen_at": rfc3339(START),
                "current": True,
            }
        ]
    }


def test_revocations_are_told_in_milliseconds(service, world, ann):
    session = add_session(world.ports.unit_of_work, ann, revoked_at=START, revoked_reason="logout")
    world.store.accounts[ann.id].not_before = START
    moment = int(START.timestamp() * 1000)
    assert service.get_revocations() == {
        "sessions": {str(session.id): moment},
        "accounts": {str(ann.id): moment},
        "next_cursor": None,
    }


def test_every_answer_is_plain_json(service, world, root, ann):
    add_session(world.ports.unit_of_work, ann, revoked_at=START, revoked_reason="logout")
    add_session(world.ports.unit_of_work, ann, last_used_at=START)
    id = str(ann.id)
    answers = [
        service.list_accounts(),
        service.list_sessions(user_id=id),
        service.get_revocations(),
        service.set_roles(account_id=id, roles=["finance"], reason="joined"),
        service.list_audit_events(),
        service.list_security_events(user_id=id),
    ]
    for answer in answers:
        assert json.loads(json.dumps(answer)) == answer


def test_the_jobs_run_by_themselves_as_often_as_they_should(service, world):
    every = {
        name: entrypoint.interval
        for name in ("seal_audit", "expire_invitations", "purge_old_rows")
        for entrypoint in getattr(AuthService, name).nameko_entrypoints
        if isinstance(entrypoint, Every)
    }
    assert every == {"seal_audit": 0.5, "expire_invitations": 60, "purge_old_rows": 300}
    with world.ports.unit_of_work() as uow:
        uow.audit.add("login.failed", account_id=None, details={})
        uow.commit()
    add_account(world.ports.unit_of_work, status="invited", now=START.replace(year=2020))
    service.seal_audit()
    service.expire_invitations()
    service.purge_old_rows()
    assert (world.store.sealed, world.store.accounts) == (1, {})
    assert {kind for kind, _ in world.old_rows.batches} >= {"expired_sessions", "mail_counts"}

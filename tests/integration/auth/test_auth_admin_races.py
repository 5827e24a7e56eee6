"""Administrators at the same moment as each other and as the people they act on, on a real database."""

import random
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from auth_svc.application.disable_account import disable_account
from auth_svc.application.enable_account import enable_account
from auth_svc.application.end_account_sessions import end_account_sessions
from auth_svc.application.ports import Origin
from auth_svc.application.refresh_session import refresh_session
from auth_svc.application.register_account import register_account
from auth_svc.application.seal_audit import seal_audit
from auth_svc.application.set_roles import set_roles
from auth_svc.application.sign_in import sign_in
from auth_svc.domain.account import InvalidCredentials
from auth_svc.domain.roles import LastAdministrator
from auth_svc.domain.session import RefreshInvalid
from lib.ids import milliseconds_of
from tests.support.auth_accounts import add_account
from tests.support.waiting import eventually

ANN = {"email": "Ann@example.com", "password": "SecurePass123!", "name": "Ann"}
CREDENTIALS = {"email": ANN["email"], "password": ANN["password"]}
WHY = "a reason"


@pytest.fixture
def ports(instance):
    return instance()


def acting(ports, account):
    """The ports as an administrator's request has them."""
    return replace(ports, origin=lambda: Origin("account", "request-1", actor_id=account.id))


def administrators(ports, number):
    return [add_account(ports.unit_of_work, f"root{index}@example.com", roles=("admin",)) for index in range(number)]


def demote(ports, actor, target):
    return set_roles(acting(ports, actor), account_id=str(target.id), roles=[], reason=WHY)


def disable(ports, actor, target):
    return disable_account(acting(ports, actor), account_id=str(target.id), reason=WHY)


@pytest.mark.parametrize("act", [demote, disable])
@pytest.mark.parametrize("attempt", range(5))
def test_two_administrators_who_act_on_each_other_do_not_both_win(ports, at_once, count, act, attempt):
    ann, bob = administrators(ports, 2)
    pairs = [(ann, bob), (bob, ann)]
    results = at_once(2, lambda index: act(ports, *pairs[index]))
    refused = [each for each in results if isinstance(each, Exception)]
    assert [type(each) for each in refused] == [LastAdministrator]
    assert count("accounts", "'admin' = any (roles) and status = 'active'") == 1
    assert count("audit_events", "outcome = 'failure'") == 1
    assert count("audit_events", "outcome = 'success'") == 1


def test_among_many_administrators_who_act_on_each_other_one_stays(ports, at_once, count):
    people = administrators(ports, 6)
    pairs = [(one, another) for one in people for another in people if one is not another]
    random.Random(4).shuffle(pairs)
    results = at_once(len(pairs), lambda index: (demote if index % 2 else disable)(ports, *pairs[index]))
    refused = [each for each in results if isinstance(each, Exception)]
    assert [each for each in refused if not isinstance(each, LastAdministrator)] == []
    assert count("accounts", "'admin' = any (roles) and status = 'active'") == 1
    assert count("audit_events", "outcome = 'failure'") == len(refused)


@pytest.mark.parametrize("attempt", range(5))
def test_a_sign_in_beside_a_disabling_leaves_no_live_session(ports, at_once, count, attempt):
    (root,) = administrators(ports, 1)
    ann = register_account(ports, **ANN).account

    def act(index):
        return disable(ports, root, ann) if index == 3 else sign_in(ports, **CREDENTIALS)

    results = at_once(7, act)
    refused = [each for each in results if isinstance(each, Exception)]
    assert {type(each) for each in refused} <= {InvalidCredentials}
    assert count("sessions", "revoked_at is null") == 0
    assert count("outbox", "type = 'user.disabled'") == count("outbox", "type = 'session.revoked'") == 1
    with pytest.raises(InvalidCredentials):
        sign_in(ports, **CREDENTIALS)


@pytest.mark.parametrize("attempt", range(5))
def test_a_refresh_beside_a_disabling_leaves_no_live_session(ports, at_once, count, auth_sessions, attempt):
    (root,) = administrators(ports, 1)
    ann = register_account(ports, **ANN)
    signed_in = [ann, *(sign_in(ports, **CREDENTIALS) for _ in range(5))]

    def act(index):
        if index == 3:
            return disable(ports, root, ann.account)
        return refresh_session(ports, refresh_token=signed_in[index % 6].refresh_token)

    results = at_once(7, act)
    refused = [each for each in results if isinstance(each, Exception)]
    assert {type(each) for each in refused} <= {RefreshInvalid}
    assert count("sessions", "revoked_at is null") == 0
    renewed = [each for index, each in enumerate(results) if index != 3 and not isinstance(each, Exception)]
    for each in renewed:
        with pytest.raises(RefreshInvalid):
            refresh_session(ports, refresh_token=each.refresh_token)
    # Every access token that was given out meanwhile is covered, too: its session's id is not later than this.
    with auth_sessions() as session:
        not_before = session.scalar(sa.text("select not_before from accounts where not_before is not null"))
        ids = session.scalars(sa.text("select id from sessions")).all()
    assert all(milliseconds_of(id) <= not_before.timestamp() * 1000 for id in ids)


def test_a_sign_in_after_the_sessions_were_ended_is_not_taken_for_an_older_one(ports):
    (root,) = administrators(ports, 1)
    ann = register_account(ports, **ANN).account
    for _ in range(20):
        end_account_sessions(acting(ports, root), account_id=str(ann.id), reason=WHY)
        session_id = ports.refresh_tokens.session_of(sign_in(ports, **CREDENTIALS).refresh_token)
        with ports.unit_of_work() as uow:
            not_before = uow.accounts.find(ann.id).not_before
        assert milliseconds_of(session_id) > not_before.timestamp() * 1000


def test_the_same_disabling_at_once_happens_once(ports, at_once, count):
    (root,) = administrators(ports, 1)
    ann = register_account(ports, **ANN).account
    results = at_once(6, lambda _: disable(ports, root, ann))
    assert [each.status for each in results] == ["disabled"] * 6
    assert count("audit_events", "kind = 'account.disabled'") == count("outbox", "type = 'user.disabled'") == 1


def test_disabling_and_enabling_at_once_end_in_one_of_both_states_with_events_in_order(ports, at_once, auth_sessions):
    (root,) = administrators(ports, 1)
    ann = register_account(ports, **ANN).account

    def act(index):
        if index % 2:
            return enable_account(acting(ports, root), account_id=str(ann.id), reason=WHY)
        return disable(ports, root, ann)

    results = at_once(10, act)
    assert not [each for each in results if isinstance(each, Exception)]
    with auth_sessions() as session:
        status = session.scalar(sa.text("select status from accounts where id = :id"), {"id": ann.id})
        events = session.scalars(
            sa.text(
                "select type from outbox where type in ('user.disabled', 'user.enabled')"
                " order by (envelope->>'sequence')::int"
            )
        ).all()
    assert events == ["user.disabled", "user.enabled"] * (len(events) // 2) + ["user.disabled"] * (len(events) % 2)
    assert status == ("disabled" if len(events) % 2 else "active")


def test_acting_on_administrators_while_failed_sign_ins_are_sealed_loses_nothing(ports, at_once, count):
    people = administrators(ports, 4)
    for round_ in range(3):
        with ports.unit_of_work() as uow:
            for person in people[::-1]:
                uow.audit.add("login.failed", account_id=person.id, details={"method": "pwd", "locked": False})
            uow.commit()
        roles = ["admin", "finance"] if round_ % 2 else ["admin"]

        def act(index, roles=roles):
            if index % 2:
                return seal_audit(ports)
            target = people[index // 2]
            return set_roles(acting(ports, people[0]), account_id=str(target.id), roles=roles, reason=WHY)

        results = at_once(8, act)
        assert not [each for each in results if isinstance(each, Exception)]
    seal_audit(ports)
    assert count("outbox", "type = 'user.login.failed'") == 12


def test_an_administrator_who_is_made_while_being_acted_on_has_to_be_tried_again(ports, auth_sessions, count):
    """The unlocked look shows no administrator, the locked one does: then the others were not locked."""
    (root,) = administrators(ports, 1)
    ann = register_account(ports, **ANN).account
    begun = threading.Event()
    outcome = []

    def act():
        begun.set()
        try:
            outcome.append(disable(ports, root, ann))
        except Exception as exc:
            outcome.append(exc)

    with auth_sessions() as session:
        session.execute(sa.text("update accounts set roles = array['admin'] where id = :id"), {"id": ann.id})
        thread = threading.Thread(target=act)
        thread.start()
        begun.wait(5)
        # It waits for the row by now, or will.
        eventually(lambda: count("pg_stat_activity", "wait_event_type = 'Lock' and datname = current_database()"))
        session.commit()
    thread.join(10)
    assert [getattr(each, "code", each) for each in outcome] == ["contended"]
    assert count("accounts", "status = 'disabled'") == 0


def test_somebody_who_has_just_ceased_to_be_an_administrator_is_locked_in_the_order_of_all(ports, auth_sessions, count):
    """One more lock at the end would be out of order: whoever has read a moment before locks that row in its turn."""
    ann = register_account(ports, **ANN).account
    root, other = administrators(ports, 2)
    found = []

    def lock():
        with ports.unit_of_work() as uow:
            found.extend(each.id for each in uow.accounts.administrators(beside=ann.id))

    with auth_sessions() as holding, auth_sessions() as looking:
        # The first by its id, and now the last in the table and for each index that has to do with roles.
        for roles in (["admin"], []):
            holding.execute(
                sa.text("update accounts set roles = :roles where id = :id"), {"id": ann.id, "roles": roles}
            )
            holding.commit()
        holding.execute(sa.text("select id from accounts where id = :id for update"), {"id": ann.id})
        thread = threading.Thread(target=lock)
        thread.start()
        eventually(lambda: count("pg_stat_activity", "wait_event_type = 'Lock' and datname = current_database()"))
        # It waits for the first, and has none of the others yet.
        free = looking.scalars(sa.text("select id from accounts for update skip locked")).all()
        looking.rollback()
        holding.rollback()
    thread.join(10)
    assert set(free) == {root.id, other.id}
    assert found == [root.id, other.id]

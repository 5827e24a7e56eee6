"""What the service does by itself: seals, expires, deletes."""

from datetime import timedelta

import pytest

from auth_svc.application import expire_invitations as expire_module
from auth_svc.application import purge_old_rows as purge_module
from auth_svc.application import seal_audit as seal_module
from auth_svc.application.expire_invitations import expire_invitations
from auth_svc.application.ports import Origin, Verdict
from auth_svc.application.purge_old_rows import KEPT, purge_old_rows
from auth_svc.application.seal_audit import seal_audit
from auth_svc.application.sign_in import sign_in
from auth_svc.application.verify_audit import verify_audit
from auth_svc.domain.account import InvalidCredentials
from lib.ids import new_id
from tests.fakes.auth import RULES, START, AuthWorld
from tests.support.auth_accounts import add_account, add_session

DAY = timedelta(days=1)


@pytest.fixture
def world():
    return AuthWorld()


def write_down(world, *entries):
    with world.ports.unit_of_work() as uow:
        for kind, account_id, details in entries:
            uow.audit.add(kind, account_id=account_id, details=details)
        uow.commit()


def failed(account_id, *, locked=False):
    return ("login.failed", account_id, {"method": "pwd", "locked": locked})


def told(world):
    return [(each.type, each.id, each.method, each.locked) for each in world.events]


# --- sealing ---


def test_each_failed_sign_in_is_told_once(world):
    ann = add_account(world.ports.unit_of_work)
    write_down(world, failed(ann.id), ("password.changed", ann.id, {}), failed(ann.id, locked=True))
    assert seal_audit(world.ports) == 3
    assert seal_audit(world.ports) == 0
    assert told(world) == [
        ("user.login.failed", str(ann.id), "pwd", False),
        ("user.login.failed", str(ann.id), "pwd", True),
    ]
    assert world.store.accounts[ann.id].sequence == ann.sequence + 2


def test_a_wrong_password_is_told_when_it_is_sealed_and_not_before(world):
    ann = add_account(world.ports.unit_of_work)
    with pytest.raises(InvalidCredentials):
        sign_in(world.ports, email="ann@example.com", password="wrong")
    assert told(world) == []
    seal_audit(world.ports)
    assert told(world) == [("user.login.failed", str(ann.id), "pwd", False)]


def test_accounts_are_locked_in_one_order_whatever_the_order_of_the_failures(world, monkeypatch):
    people = [add_account(world.ports.unit_of_work, f"a{index}@example.com") for index in range(4)]
    write_down(world, *(failed(people[index].id) for index in (3, 0, 2, 0, 1, 3)))
    seal_audit(world.ports)
    assert [id for _, id, *_ in told(world)] == [str(people[index].id) for index in (0, 0, 1, 2, 3, 3)]


def test_the_failures_of_an_account_that_is_gone_are_sealed_and_not_told(world):
    ann = add_account(world.ports.unit_of_work)
    write_down(world, failed(new_id()), failed(ann.id), failed(None))
    assert seal_audit(world.ports) == 3
    assert [id for _, id, *_ in told(world)] == [str(ann.id)]


@pytest.mark.parametrize(("entries", "batches"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_backlog_is_sealed_in_batches_and_every_head_is_announced(world, monkeypatch, entries, batches):
    monkeypatch.setattr(seal_module, "BATCH", 2)
    write_down(world, *[("password.changed", None, {})] * entries)
    assert seal_audit(world.ports) == entries
    assert len(world.audit_log.announced) == batches
    heads = [each for each in world.audit_log.announced if each is not None]
    assert [int(head.partition(":")[0]) for head in heads] == [*range(2, entries, 2), entries][: len(heads)]


def test_a_run_without_entries_is_a_chance_to_tell_the_head_that_was_not_told_yet(world):
    seal_audit(world.ports)
    assert world.audit_log.announced == [None]


def test_what_the_verification_says_comes_back_as_it_is(world):
    world.audit_log.verdict = Verdict(head="1:00", broken="position 1: the row is missing")
    assert verify_audit(world.ports, expected="1:00") == world.audit_log.verdict
    assert verify_audit(world.ports) == world.audit_log.verdict
    assert world.audit_log.expected == ["1:00", None]


# --- invitations ---


def test_an_invitation_that_nobody_claimed_in_time_is_withdrawn(world):
    world.origin = Origin("system", "request-1")
    late = add_account(world.ports.unit_of_work, "late@example.com", status="invited", now=START - 31 * DAY)
    fresh = add_account(world.ports.unit_of_work, "fresh@example.com", status="invited", now=START - 30 * DAY)
    active = add_account(world.ports.unit_of_work, now=START - 31 * DAY)
    closed = add_account(world.ports.unit_of_work, "closed@example.com", status="disabled", now=START - 31 * DAY)
    assert expire_invitations(world.ports) == 1
    assert world.store.accounts.keys() == {fresh.id, active.id, closed.id}
    assert [(each.type, each.id) for each in world.events] == [("user.deleted", str(late.id))]
    (entry,) = world.store.audit
    assert (entry.kind, entry.account_id, entry.details) == ("account.deleted", late.id, {"reason": "expired"})
    assert entry.origin.actor_kind == "system"
    assert world.store.forgotten == {late.id}
    assert expire_invitations(world.ports) == 0


def test_many_invitations_are_withdrawn_in_batches(world, monkeypatch):
    monkeypatch.setattr(expire_module, "BATCH", 2)
    for index in range(5):
        add_account(world.ports.unit_of_work, f"a{index}@example.com", status="invited", now=START - 31 * DAY)
    assert expire_invitations(world.ports) == 5
    assert world.store.accounts == {}


def test_the_address_of_a_withdrawn_invitation_is_free_again(world):
    add_account(world.ports.unit_of_work, status="invited", now=START - 31 * DAY)
    expire_invitations(world.ports)
    account = add_account(world.ports.unit_of_work)
    add_session(world.ports.unit_of_work, account)


# --- old rows ---


def test_rows_are_kept_for_as_long_as_their_kind_needs(world):
    kept = {**KEPT, "login_attempts": RULES.lockout.window + DAY}
    second = timedelta(seconds=1)
    for kind, age in kept.items():
        world.old_rows.rows[kind] = [START - age - second, START - age, START]
    assert purge_old_rows(world.ports) == len(kept)
    assert world.old_rows.rows == {kind: [START - age, START] for kind, age in kept.items()}


def test_the_times_are_those_that_were_promised():
    days = {kind: age.days for kind, age in KEPT.items()}
    assert days == {
        "expired_sessions": 90,
        "ended_sessions": 90,
        "one_time_tokens": 7,
        "email_changes": 90,
        "unknown_logins": 30,
        "mail_counts": 1,
    }


def test_many_rows_are_deleted_in_batches_and_not_without_an_end(world, monkeypatch):
    monkeypatch.setattr(purge_module, "BATCH", 2)
    monkeypatch.setattr(purge_module, "MOST", 6)
    world.old_rows.rows["unknown_logins"] = [START - 31 * DAY] * 9
    world.old_rows.rows["mail_counts"] = [START - 2 * DAY] * 3
    assert purge_old_rows(world.ports) == 9
    assert [each for each in world.old_rows.batches if each[1]] == [
        ("unknown_logins", 2),
        ("unknown_logins", 2),
        ("unknown_logins", 2),
        ("mail_counts", 2),
        ("mail_counts", 1),
    ]
    assert purge_old_rows(world.ports) == 3

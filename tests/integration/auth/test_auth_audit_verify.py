"""Whoever tampers with the audit trail on PostgreSQL is found out; the running service cannot even try."""

import re
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from auth_svc.application.register_account import register_account
from auth_svc.application.seal_audit import seal_audit
from auth_svc.presentation.cli import commands
from lib import context
from lib.context import ANONYMOUS, CallContext
from lib.ids import new_id
from tests.integration.auth.conftest import DEFAULTS

ANN = {"email": "Ann@example.com", "password": "SecurePass123!", "name": "Ann"}


@pytest.fixture
def ports(instance):
    return instance()


@pytest.fixture
def superuser(database):
    with database("auth_sql") as connection:
        yield connection


@pytest.fixture
def verify(auth_sessions):
    """Run the command and return its exit code and its output."""
    uri = auth_sessions.engine.url.render_as_string(hide_password=False)

    def run(*arguments):
        config = {**DEFAULTS, "DB_URIS": {"auth_svc:Base": uri}}
        result = CliRunner().invoke(commands, ["verify-audit", *arguments], obj=config)
        return result.exit_code, result.output.removeprefix("Error: ").strip()

    return run


@contextmanager
def calling(actor=ANONYMOUS, **values):
    with context.using(CallContext(correlation_id="request-1", actor=actor, **values)):
        yield


def write_down(ports, number=1, kind="password.changed", account_id=None, **entry):
    for _ in range(number):
        with ports.unit_of_work() as uow:
            uow.audit.add(kind, account_id=account_id or new_id(), **entry)
            uow.commit()


def row_at(connection, position):
    return connection.scalar(
        sa.text("select row_id from audit_seals where position = :position"), {"position": position}
    )


@pytest.fixture
def trail(ports):
    """Ten sealed entries; returns the head."""
    with calling(client_ip="192.0.2.7"):
        write_down(ports, 10, details={"reason": "test"})
    assert seal_audit(ports) == 10


def test_a_whole_trail_gives_its_head(trail, verify, ports):
    code, head = verify()
    assert code == 0
    assert re.fullmatch(r"10:[0-9a-f]{64}", head)
    assert verify("--expect", head) == (0, head)
    write_down(ports, 2)
    seal_audit(ports)
    code, newer = verify("--expect", head)
    assert (code, newer.partition(":")[0]) == (0, "12")


def test_an_empty_trail_is_whole(verify):
    assert verify() == (0, "nothing is sealed yet")


def test_what_is_no_head_is_one_line_and_not_0(trail, verify):
    code, line = verify("--expect", "10:abc")
    assert code == 1
    assert "expected a head like" in line


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'password.reset'",
        "outcome = 'failure'",
        "occurred_at = occurred_at + interval '1 microsecond'",
        "account_id = null",
        "actor_id = account_id",
        "session_id = account_id",
        "request_id = 'another'",
        "details = '{}'",
        'details = details || \'{"reason": "Test"}\'',
        "personal = null",
        "personal = personal || '\\x00'::bytea",
        "actor_kind = 'system'",
    ],
)
def test_an_entry_that_was_edited_is_named(trail, verify, superuser, change):
    row = row_at(superuser, 4)
    changed = superuser.execute(sa.text(f"update audit_events set {change} where id = :id"), {"id": row})
    assert changed.rowcount == 1
    assert verify() == (1, f"position 4: the row {row} or its seal has been changed")


def test_a_seal_that_was_edited_is_named(trail, verify, superuser):
    row = row_at(superuser, 7)
    superuser.execute(sa.text("update audit_seals set hash = sha256('x') where position = 7"))
    assert verify() == (1, f"position 7: the row {row} or its seal has been changed")


def test_an_entry_that_was_deleted_is_named(trail, verify, superuser):
    row = row_at(superuser, 5)
    superuser.execute(sa.text("delete from audit_events where id = :id"), {"id": row})
    assert verify() == (1, f"position 5: the row {row} is missing")


def test_an_entry_that_was_deleted_with_its_seal_is_named(trail, verify, superuser):
    superuser.execute(sa.text("delete from audit_events where id = :id"), {"id": row_at(superuser, 5)})
    superuser.execute(sa.text("delete from audit_seals where position = 5"))
    assert verify() == (1, "position 5: the seal is missing")


def test_entries_that_changed_places_are_named(trail, verify, superuser):
    second, third = row_at(superuser, 2), row_at(superuser, 3)
    for position, row in ((2, new_id()), (3, second), (2, third)):
        superuser.execute(
            sa.text("update audit_seals set row_id = :row where position = :position"),
            {"position": position, "row": row},
        )
    assert verify() == (1, f"position 2: the row {third} or its seal has been changed")


def test_a_cut_end_is_seen_by_who_expects_it(trail, verify, superuser):
    _, head = verify()
    superuser.execute(
        sa.text("delete from audit_events where id in (select row_id from audit_seals where position > 8)")
    )
    superuser.execute(sa.text("delete from audit_seals where position > 8"))
    code, shorter = verify()
    assert (code, shorter.partition(":")[0]) == (0, "8")
    assert verify("--expect", head) == (1, "position 9: the end is missing, up to 10 at least")


def test_a_chain_that_was_made_anew_is_seen_by_who_expects_the_old_one(trail, verify, superuser, ports):
    _, head = verify()
    superuser.execute(sa.text("update audit_events set kind = 'forged' where id = :id"), {"id": row_at(superuser, 4)})
    superuser.execute(sa.text("insert into audit_unsealed (row_id) select row_id from audit_seals"))
    superuser.execute(sa.text("delete from audit_seals"))
    seal_audit(ports)
    assert verify()[0] == 0
    code, line = verify("--expect", head)
    assert code == 1
    assert line == "position 10: the hash is not that of the expected head; the seals were made anew"


def test_an_entry_that_was_taken_out_of_the_queue_is_named(trail, verify, superuser, ports):
    write_down(ports)
    row = superuser.scalar(sa.text("delete from audit_unsealed returning row_id"))
    assert verify() == (
        1,
        f"no position: the row {row} has no seal: it was put in past the queue, or taken out of it",
    )


def test_an_entry_that_was_deleted_before_its_seal_is_named(trail, verify, superuser, ports):
    write_down(ports)
    row = superuser.scalar(sa.text("select row_id from audit_unsealed"))
    superuser.execute(sa.text("delete from audit_events where id = :id"), {"id": row})
    assert verify() == (1, f"no position: the row {row} is missing, it had no seal yet")


def test_forgetting_somebody_leaves_the_chain_whole(ports, verify, count):
    with calling(client_ip="192.0.2.7"):
        account = register_account(ports, **ANN).account
    seal_audit(ports)
    _, head = verify()
    with ports.unit_of_work() as uow:
        uow.audit.forget(account.id)
        uow.commit()
    assert count("subject_keys") == 0
    assert verify("--expect", head) == (0, head)


# --- what the running service may do ---


@pytest.mark.parametrize("table", ["audit_events", "audit_seals"])
@pytest.mark.parametrize(
    "statement",
    [
        "update {table} set {column} = {column}",
        "delete from {table}",
        "truncate {table}",
        "drop table {table}",
        "alter table {table} add column x int",
        "create trigger t before insert on {table} execute function suppress_redundant_updates_trigger()",
    ],
    ids=lambda statement: statement.split()[0],
)
def test_the_services_role_can_only_add(trail, auth_sessions, count, table, statement):
    column = {"audit_events": "kind", "audit_seals": "hash"}[table]
    with auth_sessions() as session, pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
        session.execute(sa.text(statement.format(table=table, column=column)))
    assert count(table) == 10

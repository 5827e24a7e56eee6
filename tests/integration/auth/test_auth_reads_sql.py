"""What the lists do on PostgreSQL alone: nothing personal in clear, and an index for each."""

import pytest
import sqlalchemy as sa

from auth_svc.application.ports import Origin
from lib.ids import new_id
from tests.fakes.auth import POLICY, START
from tests.support.auth_lists import SqlWorld


@pytest.fixture
def sql(auth_sessions):
    return SqlWorld(auth_sessions)


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

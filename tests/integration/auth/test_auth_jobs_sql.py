"""The jobs on PostgreSQL: what they delete is gone with all that belongs to it, and several run side by side."""

from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from auth_svc.application import expire_invitations as expire_module
from auth_svc.application import purge_old_rows as purge_module
from auth_svc.application.expire_invitations import expire_invitations
from auth_svc.application.purge_old_rows import purge_old_rows
from auth_svc.application.reserve_account import reserve_account
from auth_svc.domain.email import Email
from auth_svc.domain.email_change import EmailChange
from auth_svc.domain.one_time_token import OneTimeToken
from lib.ids import new_id, utc_now
from tests.support.auth_accounts import add_account, add_session

DAY = timedelta(days=1)


@pytest.fixture
def ports(instance):
    return instance()


def token_of(account, *, slot, expires_at):
    return OneTimeToken(
        account_id=account.id,
        slot=slot,
        purpose="verification",
        target=account.email.key,
        minted_by=new_id(),
        token_hash=new_id().bytes,
        created_at=expires_at - DAY,
        expires_at=expires_at,
    )


def invite(ports, number, *, age):
    """Make invitations and have them be that old."""
    accounts = [
        reserve_account(ports, email=f"a{index}-{age.days}@example.com", name="A", request_key=str(new_id())).account
        for index in range(number)
    ]
    for account in accounts:
        with ports.unit_of_work() as uow:
            uow.accounts.get(account.id).created_at = utc_now() - age
            uow.commit()
    return accounts


def test_a_withdrawn_invitation_is_gone_with_all_that_belongs_to_it(ports, count, auth_sessions):
    (late,) = invite(ports, 1, age=31 * DAY)
    (fresh,) = invite(ports, 1, age=29 * DAY)
    with ports.unit_of_work() as uow:
        uow.one_time_tokens.put(token_of(late, slot="claim", expires_at=utc_now()))
        uow.mail_counts.count(late.id, "claim", utc_now(), DAY)
        uow.audit.add("mail.sent", account_id=late.id, personal={"to": "a@example.com"})
        uow.commit()
    assert count("subject_keys") == 1
    assert expire_invitations(ports) == 1
    assert count("accounts", f"id = '{fresh.id}'") == count("accounts") == 1
    assert [count(table) for table in ("one_time_tokens", "mail_counts", "subject_keys")] == [0, 0, 0]
    with auth_sessions() as session:
        (envelope,) = session.scalars(sa.text("select envelope from outbox where type = 'user.deleted'"))
        kinds = list(session.scalars(sa.text("select kind from audit_events where account_id = :id"), {"id": late.id}))
    assert (envelope["subject"], envelope["data"]) == (str(late.id), {"id": str(late.id)})
    assert envelope["sequence"] > 1
    assert kinds[-1] == "account.deleted"


def test_instances_that_expire_at_once_tell_each_invitation_once(instance, at_once, count, monkeypatch):
    monkeypatch.setattr(expire_module, "BATCH", 5)
    instances = [instance(), instance()]
    invite(instances[0], 20, age=31 * DAY)
    results = at_once(4, lambda index: expire_invitations(instances[index % 2]))
    results.append(expire_invitations(instances[0]))
    assert sum(results) == 20
    assert count("accounts") == 0
    assert count("outbox", "type = 'user.deleted'") == count("audit_events", "kind = 'account.deleted'") == 20


@pytest.fixture
def old_and_new(ports, auth_sessions):
    """One row of each kind that is just old enough, and one that is not."""
    now = utc_now()
    account = add_account(ports.unit_of_work)
    hour = timedelta(hours=1)
    kept = set()
    for age in (90 * DAY + hour, 90 * DAY - hour):
        expired = add_session(ports.unit_of_work, account, now=now - age - DAY, expires_at=now - age)
        ended = add_session(ports.unit_of_work, account, now=now - age, revoked_at=now - age, revoked_reason="logout")
        change = EmailChange(
            id=new_id_of(now - age),
            account_id=account.id,
            old_email=Email("a@example.com"),
            new_email=Email("b@example.com"),
            requested_at=now - age,
        )
        with ports.unit_of_work() as uow:
            uow.email_changes.add(change)
            uow.commit()
        kept = {expired.id, ended.id, change.id}
    with ports.unit_of_work() as uow:
        uow.one_time_tokens.put(token_of(account, slot="old", expires_at=now - 7 * DAY - hour))
        uow.one_time_tokens.put(token_of(account, slot="new", expires_at=now - 7 * DAY + hour))
        uow.mail_counts.count(account.id, "claim", now - DAY - hour, hour)
        uow.mail_counts.count(account.id, "verification", now - hour, hour)
        window = ports.rules.lockout.window
        uow.login_attempts.count(b"old", now - window - DAY - hour, window)
        uow.login_attempts.count(b"new", now - window, window)
        uow.commit()
    with auth_sessions() as session:
        for age in (30 * DAY + hour, 30 * DAY - hour):
            session.execute(
                sa.text("insert into unknown_logins (id, key, occurred_at) values (:id, 'k', :moment)"),
                {"id": new_id_of(now - age), "moment": now - age},
            )
        session.commit()
    return kept


def new_id_of(moment):
    """Return an id as one that was made at that moment."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | new_id().int & ((1 << 80) - 1))


TABLES = ["sessions", "one_time_tokens", "email_changes", "login_attempts", "unknown_logins", "mail_counts"]


def test_rows_of_every_kind_go_when_they_are_old_enough(ports, count, auth_sessions, old_and_new):
    assert [count(table) for table in TABLES] == [4, 2, 2, 2, 2, 2]
    assert purge_old_rows(ports) == 7
    assert [count(table) for table in TABLES] == [2, 1, 1, 1, 1, 1]
    with auth_sessions() as session:
        left = {*session.scalars(sa.text("select id from sessions union select id from email_changes"))}
        slots = list(session.scalars(sa.text("select slot from one_time_tokens")))
        keys = [bytes(each) for each in session.scalars(sa.text("select key from login_attempts"))]
        kinds = list(session.scalars(sa.text("select kind from mail_counts")))
    assert (left, slots, keys, kinds) == (old_and_new, ["new"], [b"new"], ["verification"])
    assert purge_old_rows(ports) == 0


def test_instances_that_purge_at_once_share_the_work(instance, at_once, count, auth_sessions, monkeypatch):
    monkeypatch.setattr(purge_module, "BATCH", 20)
    with auth_sessions() as session:
        session.execute(
            sa.text(
                "insert into login_attempts (key, window_started_at, attempts)"
                " select int4send(n), now() - interval '9 days', 1 from generate_series(1, 200) n"
            )
        )
        session.commit()
    instances = [instance(), instance()]
    results = at_once(4, lambda index: purge_old_rows(instances[index % 2]))
    results.append(purge_old_rows(instances[0]))
    assert sum(results) == 200
    assert count("login_attempts") == 0


def test_a_batch_is_never_larger_than_asked_for(ports, count):
    account = add_account(ports.unit_of_work)
    for index in range(10):
        with ports.unit_of_work() as uow:
            uow.one_time_tokens.put(token_of(account, slot=f"slot {index}", expires_at=utc_now() - 9 * DAY))
            uow.commit()
    assert ports.old_rows.delete("one_time_tokens", utc_now(), 3) == 3
    assert ports.old_rows.delete("one_time_tokens", utc_now(), 3) == 3
    assert count("one_time_tokens") == 4


def test_what_somebody_uses_just_now_is_left_for_the_next_time(ports, auth_sessions, count):
    for key in (b"used", b"old"):
        with ports.unit_of_work() as uow:
            uow.login_attempts.count(key, utc_now() - 9 * DAY, DAY)
            uow.commit()
    with auth_sessions() as session:
        session.execute(sa.text("select 1 from login_attempts where key = 'used' for update"))
        assert purge_old_rows(ports) == 1
    assert count("login_attempts", "key = 'used'") == 1


@pytest.mark.parametrize("kind", ["expired_sessions", "ended_sessions", "email_changes", "unknown_logins"])
def test_old_rows_are_found_by_an_index(ports, auth_sessions, kind):
    plans = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        with connection.connection.dbapi_connection.cursor() as other:
            # On tables that are all but empty the planner does as it likes; what it does for want of an index shows.
            for way in ("seqscan", "bitmapscan", "sort"):
                other.execute(f"set local enable_{way} = off")
            other.execute("explain " + statement, parameters)
            plans.append("\n".join(row[0] for row in other.fetchall()))

    sa.event.listen(auth_sessions.engine, "before_cursor_execute", explain)
    ports.old_rows.delete(kind, utc_now(), 10)
    (plan,) = plans
    assert "Sort" not in plan
    assert "Seq Scan" not in plan

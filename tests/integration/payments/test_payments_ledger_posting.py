"""What is in the books stays there and adds up, whatever the code does: PostgreSQL sees to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from lib import context
from lib.context import CallContext
from lib.ids import new_id, utc_now
from lib.uow import SqlUnitOfWork, constraint_of
from payments_svc.domain.ledger import SALES, Entry, PostingKind, move
from payments_svc.infrastructure.sql_ledger import SqlLedger
from tests.conftest import ROOT
from tests.integration.payments.ledger_books import BANK, INSERT, ask, capture, insert, post, row, unchecked


@pytest.fixture
def sessions(payments_sessions):
    return payments_sessions


def counts(sessions):
    return ask(sessions, "select (select count(*) from ledger_entries), (select count(*) from ledger_unsealed)")[0]


@pytest.mark.parametrize("locking", [False, True])
def test_a_posting_is_its_entries_and_their_places_in_the_queue(sessions, locking):
    posting, now = capture(), utc_now()
    with context.using(CallContext(correlation_id="request-7")):
        post(sessions, posting, at=now, locking=locking)
    rows = ask(
        sessions,
        "select account, amount, currency, kind, source_id, payment_id, refund_id, customer_id, correlation_id,"
        " posted_at from ledger_entries order by id",
    )
    same = ("EUR", "capture", posting.source_id, posting.payment_id, None, posting.customer_id, "request-7", now)
    assert rows == [(BANK, 1050, *same), (SALES, -1050, *same)]
    assert ask(sessions, "select count(distinct transaction_id), count(distinct id) from ledger_entries") == [(1, 2)]
    assert ask(sessions, "select id from ledger_entries order by 1") == ask(
        sessions, "select row_id from ledger_unsealed order by 1"
    )


@pytest.mark.parametrize("locking", [False, True])
def test_several_postings_of_one_commit_are_transactions_of_their_own(sessions, locking):
    three = move(debit=BANK, credit=SALES, amount=7)[0], Entry(SALES, -4), Entry("refunds_payable", -3)
    post(sessions, capture(1), capture(2), capture(entries=three), locking=locking)
    found = "select count(*), sum(abs(amount)) from ledger_entries group by transaction_id order by 2"
    assert ask(sessions, found) == [(2, 2), (2, 4), (3, 14)]


@pytest.mark.parametrize(
    "entries",
    [
        (Entry(BANK, 5),),
        (Entry(BANK, 5), Entry(SALES, -4)),
        (Entry(BANK, 5), Entry(SALES, 5)),
        (Entry(BANK, 5), Entry(SALES, -6), Entry("refunds_payable", 2)),
    ],
)
@pytest.mark.parametrize("locking", [False, True])
def test_a_posting_that_does_not_add_up_takes_the_whole_commit_with_it(sessions, entries, locking):
    with pytest.raises(IntegrityError, match="minor units of EUR") as refused:
        post(sessions, capture(), unchecked(capture(), *entries), locking=locking)
    assert constraint_of(refused.value) == "ledger_entries_balance"
    assert counts(sessions) == (0, 0)


def test_currencies_are_balanced_each_for_itself(sessions):
    one = new_id()
    with pytest.raises(IntegrityError):
        insert(
            sessions,
            row(transaction_id=one, account=BANK, amount=5, currency="EUR"),
            row(transaction_id=one, account=SALES, amount=-5, currency="USD"),
        )
    assert counts(sessions) == (0, 0)


def test_an_entry_that_moves_nothing_is_refused(sessions):
    with pytest.raises(IntegrityError) as refused:
        insert(sessions, row(amount=0))
    assert constraint_of(refused.value) == "ledger_entries_amount_moves"


def test_nothing_is_added_to_a_transaction_afterwards(sessions):
    post(sessions, capture())
    ((old,),) = ask(sessions, "select distinct transaction_id from ledger_entries")
    with pytest.raises(IntegrityError) as refused:
        insert(sessions, row(transaction_id=old, amount=5, account="refunds_payable"))
    assert constraint_of(refused.value) == "ledger_entries_balance"
    assert counts(sessions) == (2, 2)


def test_halves_of_a_transaction_by_two_connections_are_refused_both(sessions):
    """Neither sees the other's half before it ends, so neither may count on it."""
    one, both = new_id(), threading.Barrier(2)
    outcomes = []

    def half(amount):
        with sessions() as session:
            session.execute(sa.text(INSERT), row(transaction_id=one, amount=amount, account=BANK))
            both.wait(10)
            try:
                session.commit()
                outcomes.append("kept")
            except IntegrityError as exc:
                outcomes.append(constraint_of(exc))

    threads = [threading.Thread(target=half, args=(amount,)) for amount in (5, -5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert outcomes == ["ledger_entries_balance"] * 2
    assert counts(sessions)[0] == 0


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_it_holds_at_every_level_of_isolation(sessions, isolation):
    with sessions() as session:
        session.connection(execution_options={"isolation_level": isolation})
        session.execute(sa.text(INSERT), row())
        with pytest.raises(IntegrityError):
            session.commit()
    assert counts(sessions)[0] == 0


def test_the_balance_is_asked_for_at_the_end_or_earlier_but_never_not(sessions):
    with sessions() as session:
        session.execute(sa.text("set constraints all immediate"))
        with pytest.raises(IntegrityError):
            session.execute(sa.text(INSERT), row())


@pytest.mark.parametrize("locking", [False, True])
def test_a_movement_is_posted_once(sessions, locking):
    posting = capture()
    post(sessions, posting)
    again = capture(999, kind=posting.kind, source_id=posting.source_id)
    with pytest.raises(IntegrityError) as refused:
        post(sessions, capture(), again, locking=locking)
    assert constraint_of(refused.value) == "ledger_entries_movement_key"
    assert counts(sessions) == (2, 2)
    post(sessions, capture(kind=PostingKind.REFUND, source_id=posting.source_id))


def test_of_the_same_movement_at_the_same_time_one_is_posted(sessions):
    source, start = new_id(), threading.Barrier(10)
    outcomes = []

    def once():
        start.wait(10)
        try:
            post(sessions, capture(source_id=source), locking=True)
            outcomes.append("posted")
        except IntegrityError as exc:
            outcomes.append(constraint_of(exc))

    threads = [threading.Thread(target=once) for _ in range(10)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert sorted(outcomes) == ["ledger_entries_movement_key"] * 9 + ["posted"]
    assert counts(sessions) == (2, 2)


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger_entries set amount = amount * 2",
        "update ledger_entries set amount = -amount",
        "update ledger_entries set correlation_id = 'x'",
        "update ledger_entries set posted_at = now()",
        "delete from ledger_entries",
        "truncate ledger_entries",
        "update ledger_seals set hash = ''",
        "delete from ledger_seals",
        "truncate ledger_seals",
        "truncate ledger_unsealed",
        "alter table ledger_entries disable trigger ledger_entries_balance",
        "drop trigger ledger_entries_balance on ledger_entries",
        "create or replace function ledger_entries_balance() returns trigger language plpgsql as 'begin end'",
        "drop function ledger_entries_balance() cascade",
        "set session_replication_role = replica",
        "drop table ledger_entries",
        "insert into ledger_entries select * from ledger_entries on conflict (id) do update set amount = 1",
    ],
)
def test_the_services_role_changes_nothing_that_is_posted(sessions, statement):
    post(sessions, capture())
    before = ask(sessions, "select * from ledger_entries order by id")
    with sessions() as session:
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner") as refused:
            session.execute(sa.text(statement))
        assert refused.value.orig.pgcode == "42501"
    assert ask(sessions, "select * from ledger_entries order by id") == before


@pytest.mark.parametrize("amount", [2**63, -(2**63) - 1])
def test_an_amount_fits_into_64_bits_or_is_refused(sessions, amount):
    with pytest.raises(DataError):
        insert(sessions, row(amount=amount))


def test_the_largest_amounts_add_up_without_overflow(sessions):
    most = 2**63 - 1
    one = new_id()
    insert(
        sessions,
        row(transaction_id=one, account="a", amount=most),
        row(transaction_id=one, account="b", amount=most),
        row(transaction_id=one, account="c", amount=-most),
        row(transaction_id=one, account="d", amount=-most),
    )
    assert ask(sessions, "select sum(amount) from ledger_entries") == [(0,)]


def test_nothing_is_left_of_what_is_not_committed(sessions):
    with SqlUnitOfWork(sessions) as uow:
        SqlLedger(uow).post(capture(), utc_now())
    assert counts(sessions) == (0, 0)


# A process of its own, so that it can really be killed: when its entries are in PostgreSQL and not committed.
VICTIM = """
import os, signal, sys
import sqlalchemy as sa
from sqlalchemy.orm import Session
from lib.database import Sessions, make_engine
from tests.integration.payments.ledger_books import capture, post

@sa.event.listens_for(Session, "before_commit")
def die(session):
    print(session.scalar(sa.text("select count(*) from ledger_entries")), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

post(Sessions(make_engine(sys.argv[1], statement_timeout=3, pool_size=1, application_name="victim")), capture(),
     locking=True)
"""


def test_a_process_that_is_killed_between_its_entries_and_its_commit_leaves_nothing(sessions):
    uri = sessions.engine.url.render_as_string(hide_password=False)
    victim = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", VICTIM, uri],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (victim.returncode, victim.stdout.strip()) == (-signal.SIGKILL, "2"), victim.stderr
    assert counts(sessions) == (0, 0)

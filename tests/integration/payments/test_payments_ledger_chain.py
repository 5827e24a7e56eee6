"""Whoever tampers with the books is found out, by the command at once and by the API step by step."""

from __future__ import annotations

import re
import threading

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from payments_svc.application.pages import InvalidCursor
from payments_svc.application.seal_ledger import seal_ledger
from payments_svc.application.verify_ledger import InvalidHead, verify_ledger
from payments_svc.application.verify_ledger_step import verify_ledger_step
from payments_svc.infrastructure import ledger_chain
from payments_svc.infrastructure.sql_ledger import CHAIN, SqlBooks
from tests.integration.payments.ledger_books import Desk, ask, capture, post
from tests.support.round_trips import round_trips

MINUTES_AGO = "now() - interval '2 minutes'"


class Slow(SqlBooks):
    """Comes three rows far in each step."""

    def verify_step(self, place, expected):
        with self._sessions() as session:
            head = None if expected is None else ledger_chain.Head.parse(expected)
            return CHAIN.step(session, place, head, at_most=3, seconds=0)


@pytest.fixture
def desk(payments_sessions):
    return Desk(SqlBooks(payments_sessions, balances=False))


@pytest.fixture
def superuser(database):
    """Nobody's rights and no trigger stand in the way."""
    with database("payments_sql") as connection:
        connection.execute(sa.text("set session_replication_role = replica"))
        yield connection


def whole(desk, expected=None):
    verdict = verify_ledger(desk, expected=expected)
    return verdict.broken or verdict.head


def in_one_step(desk, expected=None):
    step = verify_ledger_step(desk, expected=expected)
    assert step["status"] in ("intact", "broken")
    assert step["next_cursor"] is None
    return step["broken"] or step["checked"]


def in_many_steps(desk, expected=None):
    slow, cursor, steps = Desk(Slow(desk.ledger._sessions, balances=False)), None, 0
    while True:
        step = verify_ledger_step(slow, expected=expected, cursor=cursor)
        steps += 1
        if step["status"] != "unfinished":
            assert steps > 1 or step["status"] == "broken"
            return step["broken"] or step["checked"]
        cursor = step["next_cursor"]


@pytest.fixture
def check(desk):
    """``check(expected)`` → the head, or what is broken, by whatever way somebody looks."""

    def check(expected=None):
        (found,) = {way(desk, expected) for way in (whole, in_one_step, in_many_steps)}
        return found

    return check


@pytest.fixture
def head(desk, payments_sessions):
    """Ten sealed entries; returns the head."""
    post(payments_sessions, *[capture(n) for n in range(1, 6)])
    assert seal_ledger(desk) == 10
    return verify_ledger(desk).head


def row_at(connection, position):
    return connection.scalar(sa.text("select row_id from ledger_seals where position = :at"), {"at": position})


def test_books_that_are_whole_give_their_head(head, check, desk, payments_sessions):
    assert re.fullmatch(r"10:[0-9a-f]{64}", head)
    assert check() == check(head) == head
    post(payments_sessions, capture())
    assert seal_ledger(desk) == 2
    newer = check(head)
    assert newer.partition(":")[0] == "12"


def test_empty_books_are_whole(desk, payments_sessions):
    assert whole(desk) is None
    assert verify_ledger_step(desk) == {"status": "intact", "checked": None, "broken": None, "next_cursor": None}


def test_entries_that_wait_for_their_seal_a_moment_are_no_harm(head, check, payments_sessions):
    post(payments_sessions, capture())
    assert check(head) == head


@pytest.mark.parametrize(
    "change",
    [
        "amount = amount + 1",
        "amount = -amount",
        "account = 'elsewhere'",
        "currency = 'USD'",
        "kind = 'refund'",
        "source_id = id",
        "transaction_id = id",
        "customer_id = id",
        "payment_id = id",
        "refund_id = id",
        "correlation_id = 'x'",
        "posted_at = posted_at + interval '1 microsecond'",
    ],
)
def test_an_entry_that_a_superuser_edits_is_named(head, check, superuser, change):
    row = row_at(superuser, 4)
    changed = superuser.execute(sa.text(f"update ledger_entries set {change} where id = :id"), {"id": row})
    assert changed.rowcount == 1
    assert check() == f"position 4: the row {row} or its seal has been changed"


def test_a_seal_that_was_edited_is_named(head, check, superuser):
    row = row_at(superuser, 7)
    superuser.execute(sa.text("update ledger_seals set hash = sha256('x') where position = 7"))
    assert check() == f"position 7: the row {row} or its seal has been changed"


def test_an_entry_that_was_deleted_in_the_middle_is_named(head, check, superuser):
    row = row_at(superuser, 5)
    superuser.execute(sa.text("delete from ledger_entries where id = :id"), {"id": row})
    assert check() == f"position 5: the row {row} is missing"


def test_a_transaction_that_was_deleted_with_its_seals_is_named(head, check, superuser):
    superuser.execute(
        sa.text("delete from ledger_entries where id in (select row_id from ledger_seals where position in (5, 6))")
    )
    superuser.execute(sa.text("delete from ledger_seals where position in (5, 6)"))
    assert check() == "position 5: the seal is missing"


def test_the_first_broken_place_is_named(head, check, superuser):
    edit = sa.text("update ledger_entries set correlation_id = 'x' where id = :id")
    for position in (9, 2, 6):
        superuser.execute(edit, {"id": row_at(superuser, position)})
    assert check().startswith("position 2: ")


CUT = (
    "delete from ledger_entries where id in (select row_id from ledger_seals where position > :left)",
    "delete from ledger_seals where position > :left",
)


@pytest.mark.parametrize("left", [0, 4, 8])
def test_an_end_that_was_cut_off_is_seen_by_who_expects_it(head, check, desk, superuser, left):
    for statement in CUT:
        superuser.execute(sa.text(statement), {"left": left})
    assert "the end is missing, up to 10 at least" in check(head)
    assert check(head).startswith(f"position {left + 1}: ")
    # Nothing in the database tells, as what is left is whole.
    assert whole(desk) == verify_ledger_step(desk)["checked"]


def test_seals_that_were_made_anew_are_not_the_expected_ones(head, check, desk, superuser):
    superuser.execute(sa.text("update ledger_entries set amount = amount * 2"))
    superuser.execute(sa.text("truncate ledger_seals"))
    superuser.execute(sa.text("insert into ledger_unsealed select id from ledger_entries"))
    assert seal_ledger(desk) == 10
    assert check().startswith("10:")
    assert "expected head" in check(head)


def test_entries_that_were_put_in_past_the_queue_are_named(head, check, payments_sessions, superuser):
    post(payments_sessions, capture())
    superuser.execute(sa.text("delete from ledger_unsealed"))
    assert "no seal: it was put in past the queue" in check()
    ((stray,),) = ask(
        payments_sessions,
        "select id from ledger_entries where id not in (select row_id from ledger_seals) order by id limit 1",
    )
    assert str(stray) in check()


def test_an_entry_that_waits_too_long_is_named(head, check, payments_sessions, superuser):
    post(payments_sessions, capture())
    superuser.execute(sa.text(f"update ledger_unsealed set added_at = {MINUTES_AGO}"))
    assert "has no seal: it has waited for more than 0:01:00" in check()


def test_an_entry_that_was_deleted_before_it_had_its_seal_is_named(head, check, payments_sessions, superuser):
    post(payments_sessions, capture())
    superuser.execute(sa.text("delete from ledger_entries where id in (select row_id from ledger_unsealed)"))
    assert "is missing, it had no seal yet" in check()


def test_a_transaction_that_does_not_add_up_is_named_though_it_is_sealed(head, check, desk, superuser):
    one = new_id()
    superuser.execute(
        sa.text(
            "with posted as (insert into ledger_entries select :id, :one, 'refund', :id, account, 7, currency,"
            " customer_id, payment_id, null, 'x', posted_at from ledger_entries limit 1 returning id)"
            " insert into ledger_unsealed select id from posted"
        ),
        {"id": new_id(), "one": one},
    )
    assert seal_ledger(desk) == 1
    assert check() == f"transaction {one}: debits and credits differ by 7 minor units of EUR"


def test_it_is_seen_that_the_books_change_between_two_steps(head, desk, superuser):
    slow = Desk(Slow(desk.ledger._sessions, balances=False))
    step = verify_ledger_step(slow)
    assert step["checked"].startswith("3:")
    for statement in CUT:
        superuser.execute(sa.text(statement), {"left": 2})
    step = verify_ledger_step(slow, cursor=step["next_cursor"])
    assert (step["status"], step["broken"]) == ("broken", "position 3: the seal has changed since the step before")


def test_a_cursor_is_for_one_expected_head(head, desk):
    cursor = verify_ledger_step(Desk(Slow(desk.ledger._sessions, balances=False)), expected=head)["next_cursor"]
    with pytest.raises(InvalidCursor):
        verify_ledger_step(desk, cursor=cursor)


@pytest.mark.parametrize("text", ["", "10", "10:abc", "0:" + "0" * 64, "x:" + "0" * 64, "10:" + "0" * 63 + "g"])
def test_what_is_no_head_is_refused(desk, text):
    for ask_for in (verify_ledger, verify_ledger_step):
        with pytest.raises(InvalidHead):
            ask_for(desk, expected=text)


# --- sealing ----------------------------------------------------------------------------------------------------------


def test_all_that_is_committed_is_sealed_once(desk, payments_sessions):
    post(payments_sessions, *[capture() for _ in range(600)])
    assert seal_ledger(desk) == 1200
    assert seal_ledger(desk) == 0
    assert ask(payments_sessions, "select count(*) from ledger_unsealed") == [(0,)]
    seals = "select count(*), max(position), count(distinct row_id) from ledger_seals"
    assert ask(payments_sessions, seals) == [(1200, 1200, 1200)]


def test_as_long_as_nothing_waits_for_its_seal_it_costs_one_question(payments_sessions):
    """It is asked for twice a second, for as long as the service runs."""
    books = SqlBooks(payments_sessions, balances=False)
    # Who has just sealed something takes the whole look, once.
    books.seal(100)
    with round_trips() as sent:
        assert books.seal(100) == 0
    assert len(sent) == 1


def test_many_sealers_make_one_chain(desk, payments_sessions):
    stop = threading.Event()

    def seal():
        while not stop.is_set():
            seal_ledger(desk)

    sealers = [threading.Thread(target=seal) for _ in range(3)]
    writers = [
        threading.Thread(target=lambda: [post(payments_sessions, capture()) for _ in range(40)]) for _ in range(4)
    ]
    for each in sealers + writers:
        each.start()
    for each in writers:
        each.join(60)
    stop.set()
    for each in sealers:
        each.join(60)
    seal_ledger(desk)
    assert whole(desk).partition(":")[0] == "320"


def test_what_is_not_committed_yet_is_sealed_later(desk, payments_sessions):
    with payments_sessions() as session:
        session.execute(sa.text("insert into ledger_unsealed (row_id) values (:id)"), {"id": new_id()})
        post(payments_sessions, capture())
        assert seal_ledger(desk) == 2

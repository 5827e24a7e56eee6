"""What stands on the accounts, now and at any earlier moment, and the entries behind it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.ids import new_id, utc_now
from payments_svc.application.get_balances import get_balances
from payments_svc.application.get_trial_balance import get_trial_balance
from payments_svc.application.ledger_ports import EntryFilter
from payments_svc.application.list_ledger_entries import list_ledger_entries
from payments_svc.application.pages import InvalidCursor
from payments_svc.domain.ledger import REFUNDS_PAYABLE, SALES, PostingKind, move
from payments_svc.domain.period import InvalidPeriod
from payments_svc.infrastructure.sql_ledger import SqlBooks
from tests.integration.payments.ledger_books import BANK, Desk, ask, capture, post

SECOND = timedelta(seconds=1)


@pytest.fixture
def books(payments_sessions):
    return SqlBooks(payments_sessions, balances=False)


@pytest.fixture
def desk(books):
    return Desk(books)


def shown(result):
    return {
        (row["account"], row["currency"]): (row["balance"], row["debits"], row["credits"]) for row in result["data"]
    }


def test_balances_are_debits_minus_credits_of_each_account_and_currency(desk, payments_sessions):
    post(payments_sessions, capture(1000), capture(50), capture(700, "JPY"))
    refund = move(debit=SALES, credit=REFUNDS_PAYABLE, amount=300)
    post(payments_sessions, capture(kind=PostingKind.REFUND, entries=refund))
    assert shown(get_balances(desk)) == {
        (BANK, "EUR"): (1050, 1050, 0),
        (BANK, "JPY"): (700, 700, 0),
        (REFUNDS_PAYABLE, "EUR"): (-300, 0, 300),
        (SALES, "EUR"): (-750, 300, 1050),
        (SALES, "JPY"): (-700, 0, 700),
    }


def test_the_trial_balance_is_by_currency_and_adds_up(desk, payments_sessions):
    post(payments_sessions, capture(1000), capture(50), capture(700, "JPY"))
    result = get_trial_balance(desk)
    assert result["balanced"] is True
    assert result["data"] == [
        {"currency": "EUR", "debits": 1050, "credits": 1050, "difference": 0},
        {"currency": "JPY", "debits": 700, "credits": 700, "difference": 0},
    ]


def test_empty_books_are_balanced(desk):
    assert get_balances(desk)["data"] == []
    assert get_trial_balance(desk)["balanced"] is True


def test_the_trial_balance_tells_what_went_round_the_trigger(desk, payments_sessions, database):
    post(payments_sessions, capture(1000))
    with database("payments_sql") as superuser:
        superuser.execute(sa.text("set session_replication_role = replica"))
        superuser.execute(sa.text("update ledger_entries set amount = 1007 where amount > 0"))
    result = get_trial_balance(desk)
    assert result["balanced"] is False
    assert result["data"] == [{"currency": "EUR", "debits": 1007, "credits": 1000, "difference": 7}]


def test_a_balance_of_more_than_64_bits_is_exact(desk, payments_sessions):
    most = 2**63 - 1
    post(payments_sessions, capture(most), capture(most))
    assert shown(get_balances(desk))[BANK, "EUR"] == (2 * most, 2 * most, 0)


def test_an_entry_counts_from_its_moment_on(desk, payments_sessions):
    noon = utc_now() - timedelta(hours=1)
    post(payments_sessions, capture(5), at=noon)
    for at, balance in ((noon - timedelta(microseconds=1), {}), (noon, {"EUR": 5}), (noon + SECOND, {"EUR": 5})):
        found = get_balances(desk, at=at.isoformat())
        assert {row["currency"]: row["balance"] for row in found["data"] if row["account"] == BANK} == balance
        assert found["as_of"] == at


def test_the_future_has_no_balance(desk):
    with pytest.raises(InvalidPeriod):
        get_balances(desk, at=(utc_now() + timedelta(minutes=1)).isoformat())


amounts = st.integers(1, 10**12)
moments = st.integers(-1000, -1)
postings = st.lists(st.tuples(amounts, st.sampled_from(["EUR", "JPY", "KWD"]), st.booleans(), moments), max_size=12)


@given(postings, st.lists(moments, min_size=1, max_size=3))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_the_balance_at_a_moment_is_the_replay_of_the_entries_up_to_it(desk, payments_sessions, found, looked_at):
    now = utc_now()
    for amount, currency, is_refund, at in found:
        entries = move(debit=SALES, credit=BANK, amount=amount) if is_refund else None
        post(payments_sessions, capture(amount, currency, entries=entries), at=now + at * SECOND)
    # What earlier examples have left is replayed, too.
    entries = ask(payments_sessions, "select account, currency, amount, posted_at from ledger_entries order by id")
    for at in [*looked_at, 0]:
        moment = now + at * SECOND
        replayed = Counter()
        for account, currency, amount, posted_at in entries:
            if posted_at <= moment:
                replayed[account, currency] += amount
        result = get_balances(desk, at=moment.isoformat())
        assert {key: each[0] for key, each in shown(result).items()} == replayed
        assert get_trial_balance(desk, at=moment.isoformat())["balanced"] is True


# --- entries ----------------------------------------------------------------------------------------------------------


def pages(desk, limit, **wanted):
    """Return the amounts of all pages, and check that each but the last one is full."""
    found, cursor = [], None
    while True:
        page = list_ledger_entries(desk, limit=limit, cursor=cursor, **wanted)
        found += [row["amount"] for row in page.data]
        cursor = page.next_cursor
        if cursor is None:
            return found
        assert len(page.data) == limit


@pytest.fixture
def many(payments_sessions):
    """Captures of 1 to 25 in no order of time, several at one moment; and one in another currency."""
    noon = utc_now() - timedelta(hours=1)
    customers = [new_id(), new_id()]
    made = [capture(n, customer_id=customers[n % 2]) for n in range(1, 26)]
    for n, posting in enumerate(made, start=1):
        post(payments_sessions, posting, at=noon + (n * 7 % 5) * SECOND)
    post(payments_sessions, capture(1000, "JPY"))
    return made


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_all_entries_in_pages_newest_first(desk, many, limit):
    credits_and_debits = [sign * n for n in range(25, 0, -1) for sign in (-1, 1)]
    assert pages(desk, limit) == [-1000, 1000, *credits_and_debits]


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_entries_of_a_balance_in_pages_by_time(desk, many, limit):
    wanted = [-n for n in sorted(range(1, 26), key=lambda n: (n * 7 % 5, n), reverse=True)]
    assert pages(desk, limit, account=SALES, currency="EUR") == wanted
    assert pages(desk, limit, account=SALES, currency="jpy") == [-1000]
    assert pages(desk, limit, account=SALES, currency="USD") == []
    assert pages(desk, limit, account="nobody", currency="EUR") == []


def test_entries_of_a_payment_are_those_of_its_refunds_too(desk, payments_sessions, many):
    payment = many[4]
    refund = move(debit=SALES, credit=REFUNDS_PAYABLE, amount=2)
    posting = capture(kind=PostingKind.REFUND, entries=refund)
    object.__setattr__(posting, "payment_id", payment.payment_id)
    post(payments_sessions, posting)
    wanted = {"payment_id": str(payment.payment_id)}
    assert pages(desk, 1, **wanted) == [-2, 2, -5, 5]
    assert pages(desk, 3, account=SALES, currency="EUR", **wanted) == [2, -5]
    assert pages(desk, 3, payment_id=str(new_id())) == []


def test_a_cursor_fits_one_list_only(desk, many):
    page = list_ledger_entries(desk, account=SALES, currency="EUR", limit=2)
    for wanted in ({}, {"account": BANK, "currency": "EUR"}, {"account": SALES, "currency": "JPY"}):
        with pytest.raises(InvalidCursor):
            list_ledger_entries(desk, limit=2, cursor=page.next_cursor, **wanted)


def test_after_an_entry_that_is_not_there_nothing_comes(books, many):
    assert books.entries(EntryFilter(SALES, "EUR"), limit=5, before=new_id()) == []


# --- plans ------------------------------------------------------------------------------------------------------------

# Straight into the tables: what the application writes would take minutes.
FILL = """
insert into ledger_entries (id, transaction_id, kind, source_id, account, amount, currency, customer_id, payment_id,
    correlation_id, posted_at)
select ('00000000-0000-7000-8000-' || lpad(to_hex(2 * i + side), 12, '0'))::uuid, md5(i::text)::uuid, 'capture',
    md5(i::text)::uuid, case side when 0 then 'provider:sandbox' else 'sales' end, case side when 0 then i else -i end,
    case i % 10 when 0 then 'USD' else 'EUR' end, md5((i % 500)::text)::uuid, md5(i::text)::uuid, 'fill',
    timestamptz '2026-01-01' + i * interval '1 second'
from generate_series(1, :number) as i, generate_series(0, 1) as side
"""


def nodes(plan):
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


@pytest.fixture
def plan_of(payments_sessions, database, books):
    """``plan_of(question)`` → the nodes of the plans of what it asks, among 20,000 entries."""
    with database("payments_sql") as superuser:
        superuser.execute(sa.text(FILL), {"number": 10_000})
        superuser.execute(sa.text("vacuum analyze ledger_entries"))
    asked = []

    def listen(connection, cursor, statement, parameters, context, executemany):
        asked.append((statement, parameters))

    sa.event.listen(payments_sessions.engine, "before_cursor_execute", listen)

    def plan_of(question):
        asked.clear()
        question()
        found = []
        with payments_sessions() as session:
            for statement, parameters in list(asked):
                cursor = session.connection().connection.cursor()
                cursor.execute(f"explain (format json) {statement}", parameters)
                found += nodes(cursor.fetchone()[0][0]["Plan"])
        return found

    return plan_of


def indexes(plan):
    return {node["Index Name"] for node in plan if "Index Name" in node}


def test_no_page_reads_the_whole_table(plan_of, desk):
    queries = {
        "ledger_entries_pkey": {},
        "ledger_entries_account": {"account": SALES, "currency": "EUR"},
        "ledger_entries_payment_id": {"payment_id": str(new_id())},
    }
    for index, wanted in queries.items():
        first = list_ledger_entries(desk, limit=20, **wanted)
        for cursor in {None, first.next_cursor}:
            plan = plan_of(lambda: list_ledger_entries(desk, limit=20, cursor=cursor, **wanted))  # noqa: B023
            assert index in indexes(plan), plan
            assert "Seq Scan" not in {node["Node Type"] for node in plan}

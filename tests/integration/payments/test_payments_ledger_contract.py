"""What both kinds of books do alike: those on PostgreSQL, and those that unit tests have."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lib.ids import utc_now
from payments_svc.application.ledger_ports import EntryFilter
from payments_svc.application.verify_ledger import InvalidHead
from payments_svc.domain.ledger import REFUNDS_PAYABLE, SALES, PostingKind, move
from payments_svc.infrastructure.sql_ledger import SqlBooks
from tests.fakes.payments_ledger import FakeBooks
from tests.integration.payments.ledger_books import BANK, capture, post


@pytest.fixture(params=["fake", "sql"])
def books(request):
    if request.param == "fake":
        return FakeBooks()
    return SqlBooks(request.getfixturevalue("payments_sessions"), balances=False)


@pytest.fixture
def write(request, books):
    if isinstance(books, FakeBooks):
        return books.post
    return lambda posting, at: post(request.getfixturevalue("payments_sessions"), posting, at=at)


@pytest.fixture
def story(write):
    """Captures in EUR and JPY and a refund, the newest in time first."""
    now = utc_now()
    made = [capture(1000), capture(70, "JPY"), capture(30)]
    refund = move(debit=SALES, credit=REFUNDS_PAYABLE, amount=300)
    made.append(capture(kind=PostingKind.REFUND, source_id=made[0].source_id, entries=refund))
    for minutes, each in enumerate(made, start=1):
        write(each, now - timedelta(minutes=minutes))
    return made, now


def test_balances_up_to_a_moment(books, story):
    def shown(at):
        return [(row["account"], row["currency"], row["debits"], row["credits"]) for row in books.balances(at)]

    _, now = story
    assert shown(now - timedelta(minutes=5)) == []
    early = [(REFUNDS_PAYABLE, "EUR", 0, 300), (SALES, "EUR", 300, 0)]
    assert shown(now - timedelta(minutes=4)) == early
    assert shown(now) == [
        (BANK, "EUR", 1030, 0),
        (BANK, "JPY", 70, 0),
        (REFUNDS_PAYABLE, "EUR", 0, 300),
        (SALES, "EUR", 300, 1030),
        (SALES, "JPY", 0, 70),
    ]


def test_entries_by_their_filters_and_order(books, story):
    made, _ = story

    def amounts(limit=10, before=None, **wanted):
        rows = books.entries(EntryFilter(**wanted), limit=limit, before=before)
        return [row["amount"] for row in rows]

    assert amounts() == [-300, 300, -30, 30, -70, 70, -1000, 1000]
    assert amounts(account=SALES, currency="EUR") == [-1000, -30, 300], "by time"
    assert amounts(payment_id=made[0].payment_id) == [-300, 300, -1000, 1000]
    assert amounts(account=SALES, currency="EUR", payment_id=made[0].payment_id) == [300, -1000]
    (first, *_) = books.entries(EntryFilter(SALES, "EUR"), limit=1, before=None)
    assert amounts(account=SALES, currency="EUR", before=first["id"]) == [-30, 300]
    assert amounts(limit=1, account=SALES, currency="EUR", before=first["id"]) == [-30]
    (first, *_) = books.entries(EntryFilter(), limit=1, before=None)
    assert amounts(limit=2, before=first["id"]) == [300, -30]


def test_a_movement_is_posted_once(books, write, story):
    made, now = story
    with pytest.raises(Exception, match=r"posted already|ledger_entries_movement_key"):
        write(made[0], now)
    assert len(books.entries(EntryFilter(), limit=100, before=None)) == 8


def test_seals_and_the_check_of_them(books, story):
    assert books.verify(None).head is None
    assert [books.seal(5), books.seal(5), books.seal(5)] == [5, 3, 0]
    head = books.verify(None).head
    assert head.startswith("8:")
    assert books.verify(head).broken is None
    assert "the end is missing" in books.verify("9" + head).broken
    place, steps = None, 0
    while True:
        step = books.verify_step(place, head)
        steps += 1
        assert step.broken is None
        if step.place is None:
            break
        place = step.place
    assert step.checked == head
    assert "the end is missing" in books.verify_step(None, "9" + head).broken
    for ask in (books.verify, lambda text: books.verify_step(None, text)):
        with pytest.raises(InvalidHead):
            ask("8")

"""Postings, and what the staff learns from the books."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta

import pytest

from lib.ids import new_id, rfc3339
from payments_svc.application.get_balances import get_balances
from payments_svc.application.get_trial_balance import get_trial_balance
from payments_svc.application.list_ledger_entries import InvalidFilter, list_ledger_entries
from payments_svc.application.pages import InvalidCursor, InvalidLimit
from payments_svc.application.seal_ledger import BATCH, seal_ledger
from payments_svc.application.verify_ledger import InvalidHead, verify_ledger
from payments_svc.application.verify_ledger_step import verify_ledger_step
from payments_svc.domain.arguments import InvalidText
from payments_svc.domain.ledger import (
    REFUNDS_PAYABLE,
    SALES,
    Entry,
    Posting,
    PostingKind,
    UnbalancedPostingError,
    move,
    provider_account,
)
from payments_svc.domain.money import UnsupportedCurrency
from payments_svc.domain.period import InvalidPeriod
from tests.fakes.payments_ledger import NOON, FakeBooks, FakeDesk

BANK = provider_account("sandbox")
HEAD = "5:" + "0" * 64


def posting(amount=1050, currency="EUR", *, entries=None):
    id, customer_id = new_id(), new_id()
    entries = entries or move(debit=BANK, credit=SALES, amount=amount)
    return Posting(PostingKind.CAPTURE, id, id, None, customer_id, currency, tuple(entries))


@pytest.fixture
def desk():
    return FakeDesk()


# --- postings ---------------------------------------------------------------------------------------------------------


def test_a_move_debits_one_account_and_credits_another():
    assert move(debit=SALES, credit=REFUNDS_PAYABLE, amount=5) == (Entry(SALES, 5), Entry(REFUNDS_PAYABLE, -5))
    assert provider_account("stripe") == "provider:stripe"


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([Entry(SALES, 5)], "do not add up"),
        ([Entry(SALES, 5), Entry(BANK, -4)], "do not add up"),
        ([Entry(SALES, 5), Entry(BANK, 5)], "do not add up"),
        ([Entry(SALES, 0), Entry(BANK, 0)], "moves nothing"),
        ([Entry(SALES, 5), Entry(BANK, -5), Entry("x", 0)], "moves nothing"),
        ([Entry(SALES, 5), Entry(SALES, -5)], "stands there twice"),
        ([Entry(SALES, 5), Entry(BANK, -2), Entry(BANK, -3)], "stands there twice"),
    ],
)
def test_a_posting_that_is_none_is_our_mistake(entries, why):
    with pytest.raises(UnbalancedPostingError, match=why):
        posting(entries=entries)


def test_a_posting_may_have_more_than_two_entries():
    assert len(posting(entries=[Entry(BANK, 97), Entry("fees", 3), Entry(SALES, -100)]).entries) == 3


# --- balances ---------------------------------------------------------------------------------------------------------


def test_balances_are_debits_minus_credits(desk):
    desk.ledger.post(posting(1000), NOON)
    desk.ledger.post(posting(entries=move(debit=SALES, credit=REFUNDS_PAYABLE, amount=300)), NOON)
    assert get_balances(desk) == {
        "as_of": NOON,
        "data": [
            {"account": BANK, "currency": "EUR", "balance": 1000, "debits": 1000, "credits": 0},
            {"account": REFUNDS_PAYABLE, "currency": "EUR", "balance": -300, "debits": 0, "credits": 300},
            {"account": SALES, "currency": "EUR", "balance": -700, "debits": 300, "credits": 1000},
        ],
    }


def test_the_trial_balance_sums_each_currency(desk):
    desk.ledger.post(posting(1000, "JPY"), NOON)
    desk.ledger.post(posting(7), NOON)
    desk.ledger.post(posting(3), NOON)
    assert get_trial_balance(desk) == {
        "as_of": NOON,
        "balanced": True,
        "data": [
            {"currency": "EUR", "debits": 10, "credits": 10, "difference": 0},
            {"currency": "JPY", "debits": 1000, "credits": 1000, "difference": 0},
        ],
    }


@pytest.mark.parametrize(("too_much", "difference"), [(1, 1), (-1, -1)])
def test_a_difference_in_one_currency_is_one_too_many(desk, too_much, difference):
    desk.ledger.post(posting(1000, "JPY"), NOON)
    desk.ledger.post(posting(7), NOON)
    desk.ledger.rows[-2]["amount"] += too_much
    result = get_trial_balance(desk)
    assert result["balanced"] is False
    assert [line["difference"] for line in result["data"]] == [difference, 0]


@pytest.mark.parametrize("question", [get_balances, get_trial_balance])
def test_a_question_is_about_a_moment_that_has_been(desk, question):
    desk.ledger.post(posting(5), NOON - timedelta(hours=1))
    desk.ledger.post(posting(9), NOON)
    for at, debits, as_of in [
        ("2026-01-31T12:00:00Z", 14, NOON),
        ("2026-01-31T12:59:59.999999+01:00", 5, NOON - timedelta(microseconds=1)),
        (rfc3339(NOON - timedelta(hours=1)), 5, NOON - timedelta(hours=1)),
        ("2026-01-31", 0, NOON - timedelta(hours=12)),
    ]:
        found = question(desk, at=at)
        assert sum(each["debits"] for each in found["data"]) == debits
        assert found["as_of"] == as_of


@pytest.mark.parametrize("question", [get_balances, get_trial_balance])
@pytest.mark.parametrize(
    "at", ["2026-01-31T12:00:00.000001Z", "2999-01-01", "noon", "", "2026-02-30", "2026-01-31T12:00:00", 5, "0", True]
)
def test_what_is_no_such_moment_is_refused(desk, question, at):
    with pytest.raises(InvalidPeriod) as refused:
        question(desk, at=at)
    assert refused.value.details["errors"][0]["pointer"] == "/at"


# --- entries ----------------------------------------------------------------------------------------------------------


def test_entries_are_listed_newest_first(desk):
    made = [posting(n) for n in (1, 2, 3)]
    for each in made:
        desk.ledger.post(each, NOON)
    first = list_ledger_entries(desk, limit=4)
    assert [row["amount"] for row in first.data] == [-3, 3, -2, 2]
    assert [row["amount"] for row in list_ledger_entries(desk, limit=4, cursor=first.next_cursor).data] == [-1, 1]
    found = list_ledger_entries(desk, account=SALES, currency="eur", payment_id=str(made[1].payment_id))
    assert ([row["amount"] for row in found.data], found.next_cursor) == ([-2], None)


@pytest.mark.parametrize(
    ("wanted", "error", "pointer"),
    [
        ({"account": SALES}, InvalidFilter, "/currency"),
        ({"currency": "EUR"}, InvalidFilter, "/account"),
        ({"account": "", "currency": "EUR"}, InvalidText, "/account"),
        ({"account": "x" * 65, "currency": "EUR"}, InvalidText, "/account"),
        ({"account": "\0", "currency": "EUR"}, InvalidText, "/account"),
        ({"account": 5, "currency": "EUR"}, InvalidText, "/account"),
        ({"account": SALES, "currency": "XXX"}, UnsupportedCurrency, "/currency"),
        ({"account": SALES, "currency": 5}, UnsupportedCurrency, "/currency"),
        ({"payment_id": "5"}, InvalidFilter, "/payment_id"),
        ({"payment_id": ""}, InvalidFilter, "/payment_id"),
        ({"payment_id": 5}, InvalidFilter, "/payment_id"),
        ({"limit": 0}, InvalidLimit, "/limit"),
        ({"limit": 101}, InvalidLimit, "/limit"),
    ],
)
def test_a_filter_that_is_none_is_refused(desk, wanted, error, pointer):
    with pytest.raises(error) as refused:
        list_ledger_entries(desk, **wanted)
    assert refused.value.details["errors"][0]["pointer"] == pointer


def test_a_cursor_fits_one_list(desk):
    for n in (1, 2):
        desk.ledger.post(posting(n), NOON)
    cursor = list_ledger_entries(desk, limit=1).next_cursor
    with pytest.raises(InvalidCursor):
        list_ledger_entries(desk, account=SALES, currency="EUR", limit=1, cursor=cursor)
    with pytest.raises(InvalidCursor):
        list_ledger_entries(desk, limit=1, cursor=cursor[:-1] + ("A" if cursor[-1] != "A" else "B"))


# --- seals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, BATCH // 2 - 1, BATCH // 2, BATCH // 2 + 1, BATCH])
def test_all_that_waits_is_sealed_and_shown(desk, number):
    for _ in range(number):
        desk.ledger.rows += [{}, {}]
    assert seal_ledger(desk) == 2 * number
    assert seal_ledger(desk) == 0
    assert desk.ledger.watched == 2 * number


def test_verifying_gives_a_verdict(desk):
    desk.ledger.post(posting(), NOON)
    assert verify_ledger(desk).head is None
    seal_ledger(desk)
    head = verify_ledger(desk).head
    assert verify_ledger(desk, expected=head).broken is None
    assert verify_ledger(desk, expected="9" + head).broken is not None
    with pytest.raises(InvalidHead):
        verify_ledger(desk, expected="9")


def test_verifying_in_steps_goes_on_until_the_end():
    desk = FakeDesk(FakeBooks(step=4))
    for n in range(1, 6):
        desk.ledger.post(posting(n), NOON)
    seal_ledger(desk)
    cursor, seen = None, []
    for _ in range(10):
        found = verify_ledger_step(desk, cursor=cursor)
        seen.append((found["status"], found["checked"].partition(":")[0], found["broken"]))
        cursor = found["next_cursor"]
        if cursor is None:
            break
        assert len(cursor) == 84
    assert seen == [
        ("unfinished", "4", None),
        ("unfinished", "8", None),
        ("unfinished", "10", None),
        ("intact", "10", None),
    ]


def test_what_is_broken_ends_the_steps(desk):
    desk.ledger.broken = "position 5: the seal is missing"
    assert verify_ledger_step(desk) == {
        "status": "broken",
        "checked": None,
        "broken": "position 5: the seal is missing",
        "next_cursor": None,
    }


@pytest.fixture
def cursor(desk):
    for n in range(1, 4):
        desk.ledger.post(posting(n), NOON)
    seal_ledger(desk)
    return verify_ledger_step(FakeDesk(_with_small_steps(desk.ledger)))["next_cursor"]


def _with_small_steps(books):
    small = FakeBooks(step=1)
    small.rows, small.sealed = books.rows, books.sealed
    return small


def test_a_cursor_of_the_check_is_ours_or_refused(desk, cursor):
    assert verify_ledger_step(desk, cursor=cursor)["status"] == "unfinished"
    raw = urlsafe_b64decode(cursor)
    broken = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(len(raw))]
    for each in [
        *(urlsafe_b64encode(each).decode() for each in broken),
        urlsafe_b64encode(b"\xff" + raw[1:]).decode(),
        cursor[:-4],
        cursor + "AAAA",
        " " + cursor,
        "",
        "é",
        "x",
        5,
    ]:
        with pytest.raises(InvalidCursor):
            verify_ledger_step(desk, cursor=each)


def test_a_cursor_of_the_check_is_for_one_expected_head(desk, cursor):
    with pytest.raises(InvalidCursor):
        verify_ledger_step(desk, expected=HEAD, cursor=cursor)

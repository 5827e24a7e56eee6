"""A country has taken another currency: what was paid in the old one is shown, captured and given back in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lib.ids import new_id
from payments_svc.application.answers import Answer
from payments_svc.application.capture_payment import capture_payment
from payments_svc.application.list_ledger_entries import list_ledger_entries
from payments_svc.application.list_transactions import MAX_EXPORTED, list_transactions
from payments_svc.application.ports import Ports
from payments_svc.bootstrap import build_ports
from payments_svc.domain import money
from payments_svc.domain.ledger import SALES
from payments_svc.domain.money import UnsupportedCurrency
from payments_svc.domain.payment_errors import CaptureExceedsAuthorized
from payments_svc.domain.refund import RefundExceedsCaptured
from tests.integration.payments.settled_books import in_balance
from tests.integration.payments.test_payments_races import ANN, CONFIG, pay, refund

GONE = "BGN"


@pytest.fixture
def ports(payments_sessions: Any) -> Ports:
    return build_ports(CONFIG, payments_sessions)


@pytest.fixture
def paid(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Pay as one could before the currency was gone."""

    def paid(**changes: Any) -> Answer:
        with monkeypatch.context() as then:
            then.setattr(money, "SPENDABLE", money.SPENDABLE | {GONE})
            return pay(ports, **{"currency": GONE, "idempotency_key": str(new_id()), **changes})

    return paid


def capture(ports: Ports, payment_id: str, amount: int) -> Answer:
    request = {"user_id": ANN, "payment_id": payment_id, "idempotency_key": str(new_id()), "may_capture": True}
    return capture_payment(ports, amount=amount, **request)


def test_nothing_is_paid_in_it_any_more(ports: Ports, paid: Callable[..., Answer]) -> None:
    with pytest.raises(UnsupportedCurrency):
        pay(ports, currency=GONE)
    # What was, is told again.
    before = paid(idempotency_key="then")
    again = pay(ports, currency=GONE, idempotency_key="then")
    assert (again.body, again.replayed) == (before.body, True)


def test_what_was_paid_in_it_is_given_back_in_parts(
    ports: Ports, paid: Callable[..., Answer], payments_sessions: Any
) -> None:
    payment_id = paid().body["id"]
    part = refund(ports, payment_id, amount=300).body
    assert (part["status"], part["amount"], part["currency"]) == ("succeeded", 300, GONE)
    with pytest.raises(RefundExceedsCaptured, match=r"7\.00 BGN"):
        refund(ports, payment_id, amount=701, idempotency_key="too-much")
    assert refund(ports, payment_id, idempotency_key="the-rest").body["amount"] == 700
    in_balance(payments_sessions)


def test_what_was_set_aside_in_it_is_captured_in_part(ports: Ports, paid: Callable[..., Answer]) -> None:
    payment_id = paid(capture_method="manual").body["id"]
    with pytest.raises(CaptureExceedsAuthorized, match=r"10\.00 BGN"):
        capture(ports, payment_id, 1001)
    body = capture(ports, payment_id, 400).body
    assert (body["status"], body["amount_captured"], body["currency"]) == ("succeeded", 400, GONE)


@pytest.mark.parametrize("size", [{"limit": 1}, {"limit": MAX_EXPORTED, "most": MAX_EXPORTED}], ids=["page", "export"])
def test_its_history_can_be_read(ports: Ports, paid: Callable[..., Answer], size: dict[str, int]) -> None:
    payment_id = paid(amount=1050).body["id"]
    refund(ports, payment_id, amount=5)
    found, cursor = [], None
    while not found or cursor is not None:
        page = list_transactions(ports, user_id=ANN, cursor=cursor, **size)
        found += [(row["amount_decimal"], row["currency"]) for row in page.data]
        cursor = page.next_cursor
    assert found == [("-0.05", GONE), ("10.50", GONE)]


def test_the_staff_finds_its_entries(ports: Ports, paid: Callable[..., Answer]) -> None:
    paid()
    pay(ports)
    found = list_ledger_entries(ports, account=SALES, currency=GONE.lower()).data
    assert [(row["amount"], row["currency"]) for row in found] == [(-1000, GONE)]
    with pytest.raises(UnsupportedCurrency):
        list_ledger_entries(ports, account=SALES, currency="XXX")

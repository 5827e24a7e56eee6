"""The RPC methods about the books: who may call them, what they answer, and that the answer is plain JSON."""

from __future__ import annotations

import inspect
import json

import pytest

from lib.access import Policy
from lib.context import ANONYMOUS, SYSTEM, Actor, NotAllowed, NotSignedIn
from lib.every import Every
from lib.ids import new_id
from payments_svc.application.pages import InvalidCursor
from payments_svc.domain.ledger import SALES, Posting, PostingKind, move, provider_account
from payments_svc.domain.period import InvalidPeriod
from payments_svc.presentation.service import PaymentsService
from tests.fakes.payments_ledger import NOON, FakeDesk

METHODS = ["get_balances", "get_trial_balance", "list_ledger_entries", "verify_ledger_step"]
BANK = provider_account("sandbox")


def account(*roles):
    return Actor("account", id=str(new_id()), roles=frozenset(roles))


def entrypoint(method):
    (found,) = getattr(PaymentsService, method).nameko_entrypoints
    return found


@pytest.fixture
def desk():
    return FakeDesk()


@pytest.fixture
def service(desk):
    service = PaymentsService()
    service.ports = desk
    return service


@pytest.fixture
def posted(desk):
    payment = new_id()
    posting = Posting(
        PostingKind.CAPTURE, payment, payment, None, new_id(), "EUR", move(debit=BANK, credit=SALES, amount=1050)
    )
    desk.ledger.post(posting, NOON)
    return posting


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("actor", [account("finance"), account("admin"), account("user", "finance"), SYSTEM])
def test_the_staff_may(method, actor):
    allow: Policy = entrypoint(method).allow
    allow(actor, {})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("actor", [ANONYMOUS, account(), account("user"), account("support"), account("Finance")])
def test_nobody_else_may(method, actor):
    with pytest.raises((NotAllowed, NotSignedIn)):
        entrypoint(method).allow(actor, {})


@pytest.mark.parametrize("method", METHODS)
def test_a_call_may_be_repeated_and_tells_what_it_is_about(method):
    assert entrypoint(method).idempotent is True
    assert ":returns:" in inspect.getdoc(getattr(PaymentsService, method))


def test_balances_are_plain(service, posted):
    answer = service.get_balances(at="2026-01-31T12:00:00Z")
    assert json.loads(json.dumps(answer)) == {
        "as_of": "2026-01-31T12:00:00Z",
        "data": [
            {"account": BANK, "currency": "EUR", "balance": 1050, "debits": 1050, "credits": 0},
            {"account": SALES, "currency": "EUR", "balance": -1050, "debits": 0, "credits": 1050},
        ],
    }


def test_the_trial_balance_is_plain(service, posted):
    answer = service.get_trial_balance()
    assert json.loads(json.dumps(answer)) == {
        "as_of": "2026-01-31T12:00:00Z",
        "balanced": True,
        "data": [{"currency": "EUR", "debits": 1050, "credits": 1050, "difference": 0}],
    }


def test_entries_are_plain(service, posted, desk):
    answer = service.list_ledger_entries(account=SALES, currency="EUR")
    assert json.loads(json.dumps(answer)) == {
        "data": [
            {
                "id": str(desk.ledger.rows[1]["id"]),
                "transaction_id": str(desk.ledger.rows[0]["transaction_id"]),
                "kind": "capture",
                "source_id": str(posted.source_id),
                "account": SALES,
                "amount": -1050,
                "currency": "EUR",
                "customer_id": str(posted.customer_id),
                "payment_id": str(posted.payment_id),
                "refund_id": None,
                "request_id": "test",
                "posted_at": "2026-01-31T12:00:00Z",
            }
        ],
        "next_cursor": None,
    }


def test_the_check_is_plain_and_goes_on(service, posted):
    service.seal_ledger()
    first = service.verify_ledger_step()
    assert first["status"] == "unfinished"
    last = service.verify_ledger_step(cursor=first["next_cursor"])
    assert json.loads(json.dumps(last)) == {**first, "status": "intact", "next_cursor": None}
    with pytest.raises(InvalidCursor):
        service.verify_ledger_step(cursor=first["next_cursor"][:-1] + "?")


def test_bad_arguments_are_refused(service):
    with pytest.raises(InvalidPeriod):
        service.get_balances(at="now")


def test_sealing_is_work_that_comes_again_and_again(service, posted, desk):
    job = entrypoint("seal_ledger")
    assert isinstance(job, Every)
    assert job.interval <= 1
    assert service.seal_ledger() is None
    assert (desk.ledger.sealed, desk.ledger.watched) == (2, 2)

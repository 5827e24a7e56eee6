"""docs/payments.md says what the code does: states, postings, events, fault points, settings and commands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from inspect import getmembers, isclass

import pytest

from lib.ids import new_id
from payments_svc import bootstrap
from payments_svc.domain import payment_events, payment_status, refund
from payments_svc.domain.details import Details
from payments_svc.domain.ledger import PostingKind
from payments_svc.domain.money import Money
from payments_svc.domain.movements import Deadlines
from payments_svc.domain.outcome import Refused, Succeeded
from payments_svc.domain.payment import Payment
from payments_svc.infrastructure.sandbox_tokens import TOKENS
from tests.architecture.files import ROOT, text_of

DOCUMENT = "docs/payments.md"
NOW = datetime(2026, 1, 31, tzinfo=UTC)
LATER = Deadlines(*[NOW + timedelta(hours=1)] * 3)

Edge = tuple[str, str]


@pytest.fixture(scope="module")
def document() -> str:
    return text_of(DOCUMENT)


def section(document: str, title: str) -> str:
    """Return the text below a heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", document, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def states(text: str) -> set[Edge]:
    """Return the arrows of the state diagram, without those of beginning and end."""
    (diagram,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", text, re.DOTALL)
    arrows = re.findall(r"^    (\S+) --> ([^\s:]+)", diagram, re.MULTILINE)
    return {each for each in arrows if "[*]" not in each}


def final(text: str) -> set[str]:
    return set(re.findall(r"^    (\S+) --> \[\*\]", text, re.MULTILINE))


def first_column(text: str) -> list[str]:
    """Return what stands as code in the first column of tables."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("title", "transitions"),
    [("A payment", payment_status.TRANSITIONS), ("Refunds", refund.TRANSITIONS)],
    ids=["payments", "refunds"],
)
def test_the_pictures_of_states_are_the_tables_of_the_code(document, title, transitions) -> None:
    text = section(document, title)
    assert states(text) == {(str(before), str(after)) for before, some in transitions.items() for after in some}
    assert final(text) == {str(each) for each, some in transitions.items() if not some}


# --- postings -------------------------------------------------------------------------------------------------------


def paid() -> Payment:
    payment = Payment.open(id=new_id(), customer_id=new_id(), money=Money(1000, "EUR"), details=Details(), now=NOW)
    payment.begin_charge(new_id(), payment_method="tok_visa", provider="NAME", now=NOW, check_at=NOW)
    payment.settle(Succeeded(), now=NOW, deadlines=LATER)
    return payment


def postings() -> set[tuple[str, str, str]]:
    """Return kind, debited and credited account of each posting that there is, by making all of them."""
    found = set()
    for outcomes in ([Succeeded()], [Refused("no")], [Succeeded(), Refused("returned")]):
        payment = paid()
        asked = payment.open_refund(
            id=new_id(), attempt_id=new_id(), amount=None, reason=None, requested_by=new_id(), now=NOW, check_at=NOW
        )
        for outcome in outcomes:
            payment.settle_refund(asked, outcome, now=NOW, deadlines=LATER)
        for posting in payment.pull_postings():
            debit, credit = sorted(posting.entries, key=lambda each: -each.amount)
            found.add((str(posting.kind), debit.account, credit.account))
    assert {kind for kind, *_ in found} == {str(each) for each in PostingKind}
    return found


def test_the_table_of_postings_is_what_the_code_posts(document) -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| `([\w:]+)` \| `([\w:]+)` \|$", section(document, "Ledger"), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == postings()


def test_the_picture_of_accounts_is_what_the_code_posts(document) -> None:
    arrows = re.findall(r"^    (\w+) -- (\w+) --> (\w+)$", section(document, "Ledger"), re.MULTILINE)
    named = {(kind, debit.partition(":")[0], credit.partition(":")[0]) for kind, debit, credit in postings()}
    assert {(kind, debit, credit) for credit, kind, debit in arrows} == named


# --- events, fault points, settings, commands -----------------------------------------------------------------------


def test_every_event_is_told(document) -> None:
    ours = {each.type for _, each in getmembers(payment_events, isclass) if each.__module__ == payment_events.__name__}
    assert len(ours) > 5
    assert set(first_column(section(document, "Events"))) == ours


def fault_points() -> Iterator[str]:
    """Yield the points that the code of payments, and of what publishes and answers for it, may die at."""
    files = [*(ROOT / "payments_svc").rglob("*.py"), ROOT / "lib" / "rpc.py", ROOT / "lib" / "relay.py"]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="reach" | "reached"), args=[ast.Constant(value=str(point)), *_]):
                    yield point


def test_every_fault_point_is_told(document) -> None:
    assert set(first_column(section(document, "Crashes"))) == set(fault_points())


def test_every_setting_is_told_with_its_default(document, settings: dict[str, str]) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section(document, "Settings"), re.MULTILINE))
    spoken = {"not set": "null", "empty": ""}
    told = {name: spoken.get(default, default.strip("`")) for name, default in rows.items()}
    assert told == {name: settings[name] for name in bootstrap.CONFIG}


def test_every_command_is_told(document) -> None:
    # Read and not imported: the command line brings greenlets.
    source = "".join(file.read_text() for file in (ROOT / "payments_svc" / "presentation").glob("cli*.py"))
    commands = re.findall(r'@\w+\.command\("([\w-]+)"\)', source)
    assert sorted(first_column(section(document, "Commands"))) == sorted(commands)


def test_every_token_of_the_sandbox_is_told(document) -> None:
    cells = re.findall(r"^\| (`tok_[^|]+) \|", section(document, "Providers"), re.MULTILINE)
    told = [token for cell in cells for token in re.findall(r"`(\w+)`", cell)]
    assert sorted(told) == sorted(TOKENS)


# --- each of these is seen to find something ------------------------------------------------------------------------


def _states(document: str) -> None:
    test_the_pictures_of_states_are_the_tables_of_the_code(document, "A payment", payment_status.TRANSITIONS)


@pytest.mark.parametrize(
    ("check", "before", "after"),
    [
        (_states, "requires_capture --> canceled: cancel, or expired\n", "x --> y: no\n"),
        (
            test_the_table_of_postings_is_what_the_code_posts,
            "| `refund_reversal` | it fails, or was not executed | `refunds_payable` | `sales` |\n",
            "",
        ),
        (
            test_the_picture_of_accounts_is_what_the_code_posts,
            "sales -- capture --> provider\n",
            "provider -- capture --> sales\n",
        ),
        (test_every_event_is_told, "| `payment.failed` | an attempt", "| an attempt"),
        (test_every_fault_point_is_told, "| `payment.after_send` |", "| `payment.later` |"),
        (test_every_command_is_told, "| `expire-answers` |", "| `expire` |"),
        (test_every_token_of_the_sandbox_is_told, "| `tok_3ds` |", "| `tok_4ds` |"),
    ],
)
def test_a_page_that_says_something_else_is_found(document, check, before, after) -> None:
    assert before in document
    with pytest.raises(AssertionError):
        check(document.replace(before, after))


def test_a_page_with_another_default_is_found(document, settings: dict[str, str]) -> None:
    wrong = document.replace("| `IDEMPOTENCY_TTL` | `86400` |", "| `IDEMPOTENCY_TTL` | `86401` |")
    with pytest.raises(AssertionError):
        test_every_setting_is_told_with_its_default(wrong, settings)

"""Money is never binary fractions: what makes a float, anywhere near an amount, is found in the source text.

Inside of payments_svc's domain and application there is none at all. Elsewhere there are floats for good reasons
(seconds of a timeout), so there the rule looks for those that touch an amount.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from payments_svc.infrastructure import tables
from tests.architecture.files import ROOT

metadata = tables.metadata

INNER = ("payments_svc/domain", "payments_svc/application")
OUTER = ("payments_svc", "gateway")
#: names of what is counted in minor units
AMOUNT = re.compile(
    r"(^|_)(amounts?|capturable|captured|refunded|refunding|refundable|authorized|balances?|debits?|credits?|fees?|"
    r"total|taxe?s?|price)($|_)"
)
#: of a name that tells of time or identity, and not of money
NO_AMOUNT = re.compile(r"(_at|_until|_id|_rate|_before|_after)$")
ROUNDING = {"round", "fsum", "ceil", "floor", "trunc"}
FRACTIONAL = {"float", "Float", "Double", "REAL", "Real", "DOUBLE_PRECISION"}


def fractions(source: str) -> Iterator[tuple[int, str]]:
    """Yield all that is, makes or takes a binary fraction."""
    for node in ast.walk(ast.parse(source)):
        if what := fraction(node):
            yield node.lineno, what  # type: ignore[attr-defined]  # those that are found have one


def fractions_of_amounts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the same, where an amount stands in the same statement, argument or head of a block."""
    for node in ast.walk(ast.parse(source)):
        for part in _parts(node):
            if _names_amount(part):
                yield from ((each.lineno, f"{what}, with an amount") for each, what in _fractions_in(part))


def fraction(node: ast.AST) -> str | None:
    """Return what there is of a binary fraction at this very node."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in FRACTIONAL:
            return name
        case ast.Constant(value=float()):
            return "a literal with a fraction"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "a division that may leave a fraction; // and divmod do not"
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in ROUNDING:
            return f"{name}(): what has to be rounded is no whole number"
    return None


def _fractions_in(part: ast.AST) -> Iterator[tuple[Any, str]]:
    for node in ast.walk(part):
        if what := fraction(node):
            yield node, what


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is looked at as one: a statement, and of a statement with others inside only what is its own."""
    match node:
        case ast.arguments():
            yield from (*node.posonlyargs, *node.args, *node.kwonlyargs)
        case ast.stmt() if not any(isinstance(each, ast.stmt) for each in ast.iter_child_nodes(node)):
            yield node
        case ast.stmt():
            inner = (ast.stmt, ast.arguments, ast.ExceptHandler, ast.match_case)
            yield from (each for each in ast.iter_child_nodes(node) if not isinstance(each, inner))


def _names_amount(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        match node:
            case (
                ast.Name(id=name)
                | ast.Attribute(attr=name)
                | ast.arg(arg=name)
                | ast.keyword(arg=str(name))
                | ast.Constant(value=str(name))
            ) if AMOUNT.search(name) and not NO_AMOUNT.search(name):
                return True
    return False


def failures(folders: Iterable[str], rule) -> list[str]:
    paths = sorted({path for folder in folders for path in (ROOT / folder).rglob("*.py")})
    assert paths
    return [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in paths
        for line, what in rule(Path(path).read_text(encoding="utf-8"))
    ]


def test_there_is_no_fraction_in_the_rules_of_payments() -> None:
    assert failures(INNER, fractions) == []


def test_no_amount_meets_a_fraction_anywhere() -> None:
    assert failures(OUTER, fractions_of_amounts) == []


def test_every_column_of_an_amount_is_a_whole_number() -> None:
    columns = [
        each
        for table in metadata.tables.values()
        for each in table.columns
        if AMOUNT.search(each.name) and not NO_AMOUNT.search(each.name)
    ]
    assert len(columns) > 5
    assert [str(each) for each in columns if not isinstance(each.type, sa.Integer)] == []


# --- each of these rules is seen to find something ------------------------------------------------------------------

FRACTIONS = [
    "amount = float(text)",
    "def f(share: float): ...",
    "share: float | None = None",
    "fee = amount * 0.029",
    "limit = 1e6",
    "half = amount / 2",
    "amount /= 2",
    "amount = round(share)",
    "amount = math.ceil(share)",
    "total = math.fsum(parts)",
    "column = sa.Float()",
    "def f(amount, rate=0.5): ...",
    "if amount > 0.5: ...",
    "parts = [each / 2 for each in amounts]",
    "return int(amount / 100 * 19)",
]
OF_AMOUNTS = [
    "half = payment.amount / 2",
    "shown = refund.amount / 10 ** exponent",
    "def charge(amount: float): ...",
    "def charge(*, tax_amount: float = 0): ...",
    "amount: float = 5",
    "amount_captured = round(share)",
    "balance = float(row.sum)",
    "row['amount'] = float(row['sum'])",
    "sa.Column('amount', sa.Float)",
    "sa.Column('amount_refunded', postgresql.DOUBLE_PRECISION())",
    "amount = fields.Float()",
    "if total_captured / 2 > limit: ...",
    "for part in [amount / 3] * 3: ...",
    "with booked(amount * 1.19) as row: ...",
    "call(fee=1.5)",
    "return {'balance': debit / 100}",
]


@pytest.mark.parametrize("source", FRACTIONS)
def test_a_fraction_is_found(source: str) -> None:
    assert list(fractions(source))


@pytest.mark.parametrize("source", OF_AMOUNTS)
def test_a_fraction_with_an_amount_is_found(source: str) -> None:
    assert list(fractions_of_amounts(source))


@pytest.mark.parametrize(
    "source",
    [
        "half = amount // 2",
        "whole, part = divmod(amount, 100)",
        "share = Fraction(amount, 3)",
        "written = f'{whole}.{part}'",
        "'''10.50 EUR is not 10.5 / 1'''",
        "ceiling = 10**12",
    ],
)
def test_whole_numbers_pass(source: str) -> None:
    assert list(fractions(source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "def ask(amount: int, timeout: float): ...",
        "def ask(timeout: float):\n    self.amount = amount",
        "waited = latency / 2",
        "if latency > 0.5:\n    amount = 5",
        "captured_at = started + 0.5",
        "half = amount // 2",
    ],
)
def test_a_fraction_of_something_else_passes(source: str) -> None:
    assert list(fractions_of_amounts(source)) == []

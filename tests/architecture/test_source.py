"""Rules about the source text that no linter knows; each is shown to find what it looks for."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("auth_svc", "users_svc", "payments_svc", "gateway", "lib")
SERVICES = ("auth_svc", "users_svc", "payments_svc")
LONGEST_FILE = 400
BUSINESS_WORDS = (
    "payment", "refund", "invoice", "profile", "subscription", "customer", "auth_svc", "users_svc", "payments_svc",
)  # fmt: skip
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
CHANCE = {"uuid1", "uuid4", "uuid6", "uuid7"}


def modules(*folders: str) -> list[Path]:
    found = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert found, f"nothing to look at in {folders}"
    return found


def failures(paths: Iterable[Path], rule) -> list[str]:
    """Return ``file:line: what`` for everything that the rule finds."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in paths
        for line, what in rule(path.read_text(encoding="utf-8"))
    ]


def _docstrings(tree: ast.AST) -> set[ast.AST]:
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            found.add(body[0].value)
    return found


def _words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name and every text in the code; not docstrings, whose examples may name a service."""
    docstrings = _docstrings(tree)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Constant(value=str(text)) if node not in docstrings:
                yield line, text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                yield line, name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield line, name
            case ast.ImportFrom(module=str(name)) | ast.keyword(arg=str(name)):
                yield line, name


def business_words(source: str) -> Iterator[tuple[int, str]]:
    for line, text in _words(ast.parse(source)):
        for word in BUSINESS_WORDS:
            if word in text.lower():
                yield line, word


def floating_point(source: str) -> Iterator[tuple[int, str]]:
    """Binary fractions in any form: the type, a literal, a true division."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id="float" | "Float") | ast.Attribute(attr="Float"):
                yield node.lineno, "float"
            case ast.Constant(value=float()):
                yield node.lineno, "a literal with a fraction"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield node.lineno, "a division that may leave a fraction; // does not"


def hidden_inputs(source: str) -> Iterator[tuple[int, str]]:
    """The machine's clock, and ids by chance."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (owner, name) in CLOCKS:
                yield node.lineno, f"{owner}.{name}"
            case ast.Attribute(value=ast.Attribute(attr=owner), attr=name) if (owner, name) in CLOCKS:
                yield node.lineno, f"{owner}.{name}"
            case ast.Attribute(attr=name) | ast.alias(name=name) if name in CHANCE:
                yield getattr(node, "lineno", 0), name


def too_long(source: str) -> Iterator[tuple[int, str]]:
    lines = source.count("\n")
    if lines > LONGEST_FILE:
        yield lines, f"{lines} lines, more than {LONGEST_FILE}"


def test_lib_knows_no_business_word():
    assert failures(modules("lib"), business_words) == []


def test_money_is_never_binary_fractions():
    assert failures(modules("payments_svc/domain", "payments_svc/application"), floating_point) == []


def test_time_and_ids_come_in_through_ports():
    inner = [f"{service}/{layer}" for service in SERVICES for layer in ("domain", "application")]

    assert failures(modules(*inner), hidden_inputs) == []


def test_no_file_has_more_than_one_reason():
    assert failures(modules(*PACKAGES), too_long) == []


@pytest.mark.parametrize(
    "rule, source",
    [
        (business_words, "def open_profile(): ..."),
        (business_words, "QUEUE = 'rpc-users_svc'"),
        (business_words, "class Refunds: ..."),
        (business_words, "from auth_svc.domain import account"),
        (business_words, "call(customer_id=1)"),
        (business_words, "def f():\n    '''a docstring'''\n    return 'invoice'"),
        (floating_point, "amount = float(text)"),
        (floating_point, "def f(amount: float): ..."),
        (floating_point, "column = sa.Float()"),
        (floating_point, "fee = amount * 0.029"),
        (floating_point, "half = amount / 2"),
        (floating_point, "amount /= 2"),
        (hidden_inputs, "now = datetime.now(UTC)"),
        (hidden_inputs, "now = datetime.datetime.utcnow()"),
        (hidden_inputs, "today = date.today()"),
        (hidden_inputs, "from uuid import uuid4"),
        (hidden_inputs, "key = uuid.uuid4()"),
        (too_long, "pass\n" * (LONGEST_FILE + 1)),
    ],
)
def test_the_rule_finds(rule, source):
    assert list(rule(source))


@pytest.mark.parametrize(
    "rule, source",
    [
        (business_words, "def f():\n    '''``python -m lib.runner users_svc``'''"),
        (floating_point, "half = amount // 2"),
        (hidden_inputs, "now = ports.now()"),
        (too_long, "pass\n" * LONGEST_FILE),
    ],
)
def test_the_rule_lets_pass(rule, source):
    assert list(rule(source)) == []

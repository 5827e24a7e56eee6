"""The checklist (`tests/checklist.toml`): every point is there, and what it names are tests that run.

A list that nobody checks is a promise. So a name that is not there, a test that is skipped, a point that is missing and
one reason too many are all failures; each of these is planted below and seen to be found.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.files import ROOT, text_of

CHECKLIST = "tests/checklist.toml"
DOCUMENT = "docs/security.md"
#: the points of each area that concern what there is by now
POINTS = {
    "auth": {*range(1, 28), *range(34, 37), *range(40, 46), 47},
    "users": {*range(1, 21), *range(25, 29)},
    "payments": {*range(1, 30), *range(31, 40), *range(42, 46), 47, 49, 50, 61, 62},
}
MOST_REASONS = 5
LONGEST_LINE = 160
#: a part that is not built yet (and what it belongs to); the API promises something else; this machine cannot
KINDS = ("not yet: ", "by contract: ", "out of reach: ")
#: words with which a test, a fixture or a module is left out
LEAVING_OUT = {"skip", "skipif", "xfail", "importorskip", "SkipTest", "collect_ignore", "collect_ignore_glob"}
TEST = re.compile(r"(tests/[\w/]+/test_\w+\.py)::(test_\w+)")
ROW = re.compile(r"^\| ([\d, –]+) \|", re.MULTILINE)
KNOB = re.compile(r"^\| `([A-Z_]+)` \| ([^|]+) \|", re.MULTILINE)
SPOKEN = {"empty": "", "not set": "null"}

Checklist = dict[str, dict[str, dict[str, Any]]]


# --- what a named test is -------------------------------------------------------------------------------------------


def names_of(tree: ast.Module) -> set[str]:
    """Return the test functions of a module, as pytest collects them."""
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def left_out(tree: ast.Module) -> Iterator[str]:
    """Yield what may leave tests of a module out, or those that a conftest serves.

    The whole module and not the one function: a skip may stand in a helper, a mark, a parameter or a fixture.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name) if name in LEAVING_OUT:
                yield f"line {getattr(node, 'lineno', 0)}: {name}"
            case ast.Name(id="__test__"):
                yield f"line {node.lineno}: __test__"
            case ast.FunctionDef(name="pytest_ignore_collect" | "pytest_collection_modifyitems" as name):
                yield f"line {node.lineno}: {name}"


def objections(root: Path, named: str) -> Iterator[str]:
    """Yield why `named` shows nothing.

    :param named: ``tests/…/test_….py::test_…``
    """
    match = TEST.fullmatch(named)
    if match is None:
        yield f"{named}: expected tests/…/test_….py::test_…"
        return
    file, function = match.groups()
    path = root / file
    if not path.is_file():
        yield f"{named}: there is no such file"
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if function not in names_of(tree):
        yield f"{named}: there is no such test"
    conftests = [folder / "conftest.py" for folder in path.parents if folder.is_relative_to(root)]
    for each in (path, *(each for each in conftests if each.is_file())):
        for what in left_out(ast.parse(each.read_text(encoding="utf-8"))):
            yield f"{named}: may be left out, {each.relative_to(root)}, {what}"


# --- what the list is -----------------------------------------------------------------------------------------------


def faults(checklist: Checklist) -> Iterator[str]:
    """Yield what is wrong with the list itself."""
    if checklist.keys() != POINTS.keys():
        yield f"areas: expected {sorted(POINTS)}"
        return
    for area, points in checklist.items():
        numbers = [int(number) for number in points]
        if set(numbers) != POINTS[area]:
            yield f"{area}: not the expected points, see {sorted(POINTS[area].symmetric_difference(numbers))}"
        if numbers != sorted(numbers):
            yield f"{area}: not in order"
        for number, entry in points.items():
            yield from (f"{area}.{number}: {what}" for what in entry_faults(entry))
        reasons = sum("reason" in entry for entry in points.values())
        if reasons > MOST_REASONS:
            yield f"{area}: {reasons} reasons, more than {MOST_REASONS}"


def entry_faults(entry: dict[str, Any]) -> Iterator[str]:
    if unknown := entry.keys() - {"point", "tests", "reason"}:
        yield f"unknown: {', '.join(sorted(unknown))}"
    point, tests, reason = entry.get("point"), entry.get("tests", []), entry.get("reason")
    for name, text in (("point", point), ("reason", "not yet: " if reason is None else reason)):
        if not isinstance(text, str) or not text.strip() or "\n" in text or len(text) > LONGEST_LINE:
            yield f"{name}: expected one line of at most {LONGEST_LINE} characters"
    if not isinstance(tests, list) or not all(isinstance(each, str) for each in tests):
        yield "tests: expected a list of names"
    elif len(set(tests)) < len(tests):
        yield "tests: one stands there twice"
    if not tests and reason is None:
        yield "neither tests nor a reason"
    if isinstance(reason, str) and not reason.startswith(KINDS):
        yield f"reason: begins with one of {KINDS}"


@pytest.fixture(scope="module")
def checklist() -> Checklist:
    return tomllib.loads(text_of(CHECKLIST))


def test_every_point_is_there_with_tests_or_one_of_few_reasons(checklist: Checklist) -> None:
    assert list(faults(checklist)) == []


def test_every_named_test_is_there_and_runs(checklist: Checklist) -> None:
    named = {each for points in checklist.values() for entry in points.values() for each in entry.get("tests", [])}
    assert [what for each in sorted(named) for what in objections(ROOT, each)] == []


def test_the_document_tells_of_every_point() -> None:
    told: set[int] = set()
    for cell in ROW.findall(text_of(DOCUMENT)):
        for item in cell.split(","):
            first, _, last = item.strip().partition("–")
            told.update(range(int(first), int(last or first) + 1))
    assert told == POINTS["auth"]


def test_the_document_tells_the_defaults(settings: dict[str, str]) -> None:
    """What an operator reads about a setting is what is in force."""
    told = {name: SPOKEN.get(default, default.strip("`")) for name, default in KNOB.findall(text_of(DOCUMENT))}
    assert len(told) > 20
    assert told == {name: settings.get(name) for name in told}


# --- each of these rules is seen to find something ------------------------------------------------------------------

HERE = "tests/area/test_here.py"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project with one test."""
    folder = tmp_path / "tests" / "area"
    folder.mkdir(parents=True)
    (folder / "test_here.py").write_text("import pytest\n\ndef test_good():\n    assert 1\n")
    (folder / "conftest.py").write_text("import pytest\n")
    return tmp_path


def test_a_test_that_is_there_is_found(tree: Path) -> None:
    assert list(objections(tree, f"{HERE}::test_good")) == []


@pytest.mark.parametrize(
    ("named", "why"),
    [
        (f"{HERE}::test_gone", "no such test"),
        ("tests/area/test_gone.py::test_good", "no such file"),
        ("tests/area/test_here.py", "expected tests/"),
        ("tests/area/test_here.py::good", "expected tests/"),
        ("test_here.py::test_good", "expected tests/"),
        (f"{HERE}::test_good[one]", "expected tests/"),
        ("tests/../tests/area/test_here.py::test_good", "expected tests/"),
        (f"{HERE}::test_inner", "no such test"),
    ],
)
def test_a_name_that_is_no_test_is_found(tree: Path, named: str, why: str) -> None:
    with (tree / HERE).open("a") as file:
        file.write("\ndef helper():\n    def test_inner(): ...\n")
    (found,) = objections(tree, named)
    assert why in found


@pytest.mark.parametrize(
    "planted",
    [
        "@pytest.mark.skip\ndef test_other(): ...",
        "@pytest.mark.skip(reason='later')\ndef test_other(): ...",
        "@pytest.mark.skipif(True, reason='here')\ndef test_other(): ...",
        "@pytest.mark.xfail\ndef test_other(): ...",
        "def test_other():\n    pytest.skip('no network')",
        "def helper():\n    pytest.xfail('known')",
        "pytestmark = pytest.mark.skip",
        "pytestmark = [pytest.mark.slow, pytest.mark.skip]",
        "other = pytest.importorskip('other')",
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.xfail)])\ndef test_other(x): ...",
        "from pytest import skip",
        "from unittest import SkipTest",
        "__test__ = False",
        "def pytest_ignore_collect(): ...",
        "def pytest_collection_modifyitems(items):\n    items[:] = []",
        "def pytest_collection_modifyitems(items):\n    for each in list(items):\n        items.remove(each)",
        "def pytest_collection_modifyitems(items):\n    for each in items:\n        each.add_marker('skip')",
        "def pytest_collection_modifyitems(items):\n    leave_out(items)",
    ],
)
@pytest.mark.parametrize("file", ["test_here.py", "conftest.py"])
def test_what_is_left_out_is_found(tree: Path, planted: str, file: str) -> None:
    with (tree / "tests" / "area" / file).open("a") as module:
        module.write(f"\n{planted}\n")
    found = list(objections(tree, f"{HERE}::test_good"))
    assert found
    assert all(f"may be left out, tests/area/{file}" in each for each in found)


def test_a_conftest_that_ignores_the_file_is_found(tree: Path) -> None:
    (tree / "tests" / "conftest.py").write_text("collect_ignore = ['area/test_here.py']\n")
    (found,) = objections(tree, f"{HERE}::test_good")
    assert "collect_ignore" in found


def complete(**changes: Any) -> Checklist:
    """A list in order, with changes of its first points by number."""
    good = {
        area: {str(number): {"point": "holds", "tests": [f"{HERE}::test_good"]} for number in sorted(numbers)}
        for area, numbers in POINTS.items()
    }
    return good | {"auth": {name: entry for name, entry in (good["auth"] | changes).items() if entry is not None}}


@pytest.mark.parametrize("reasons", [0, MOST_REASONS])
def test_a_whole_list_is_accepted(reasons: int) -> None:
    few = {str(number): {"point": "holds", "reason": "not yet: passkeys"} for number in range(1, reasons + 1)}
    assert list(faults(complete(**few))) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"3": None}, "see [3]"),
        ({"28": {"point": "holds", "reason": "not yet: passkeys"}}, "see [28]"),
        ({"3": {"point": "holds"}}, "auth.3: neither tests nor a reason"),
        ({"3": {"point": "holds", "tests": []}}, "auth.3: neither tests nor a reason"),
        ({"3": {"tests": ["a"]}}, "auth.3: point: expected one line"),
        ({"3": {"point": "two\nlines", "tests": ["a"]}}, "auth.3: point: expected one line"),
        ({"3": {"point": "holds", "tests": "a"}}, "auth.3: tests: expected a list"),
        ({"3": {"point": "holds", "tests": ["a", "a"]}}, "auth.3: tests: one stands there twice"),
        ({"3": {"point": "holds", "tests": ["a"], "todo": "b"}}, "auth.3: unknown: todo"),
        ({"3": {"point": "holds", "reason": "too hard"}}, "auth.3: reason: begins with one of"),
        ({"3": {"point": "holds", "reason": 5}}, "auth.3: reason: expected one line"),
        (
            {str(number): {"point": "holds", "reason": "not yet: passkeys"} for number in range(1, MOST_REASONS + 2)},
            "auth: 6 reasons, more than 5",
        ),
        # A reason beside tests, for a part, counts as well.
        (
            {
                str(number): {"point": "holds", "tests": ["a"], "reason": "not yet: passkeys"}
                for number in range(1, MOST_REASONS + 2)
            },
            "auth: 6 reasons, more than 5",
        ),
    ],
)
def test_a_list_with_a_hole_is_found(changes: dict[str, Any], why: str) -> None:
    assert [each for each in faults(complete(**changes)) if why in each]


def test_a_list_of_something_else_is_found() -> None:
    assert list(faults({"others": complete()["auth"]}))

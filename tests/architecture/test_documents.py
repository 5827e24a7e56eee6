"""What the documents name is there: tests and files."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMED = re.compile(r"`(test_\w+(?:\.py)?)`")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The names of all test functions and test files."""
    files = list((ROOT / "tests").rglob("test_*.py"))
    functions = {name for file in files for name in re.findall(r"^\s*def (test_\w+)", file.read_text(), re.M)}
    return functions | {file.name for file in files}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: str(each.relative_to(ROOT)))
def test_every_test_that_a_document_names_is_there(document, known):
    assert set(NAMED.findall(document.read_text())) <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: str(each.relative_to(ROOT)))
def test_every_file_that_a_document_links_to_is_there(document):
    missing = [each for each in LINK.findall(document.read_text()) if not (document.parent / each).exists()]
    assert missing == []

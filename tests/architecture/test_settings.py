""".env.example tells every setting, and only settings that somebody reads."""

from __future__ import annotations

import re

import pytest

from tests.architecture.files import COMPOSE_VARIABLE, ROOT, text_of


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    """Names and values of .env.example."""
    return dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", text_of(".env.example"), re.MULTILINE))


def test_the_example_changes_nothing_when_it_is_copied():
    lines = [line for line in text_of(".env.example").splitlines() if line]

    assert [line for line in lines if not line.startswith("#")] == []


def test_the_example_tells_every_name_once(example, settings):
    names = re.findall(r"^#([A-Z][A-Z0-9_]*)=", text_of(".env.example"), re.MULTILINE)

    assert [name for name in names if names.count(name) > 1] == []
    assert set(settings) - set(example) == set()


def test_the_example_tells_no_name_that_nobody_reads(example, settings):
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "deploy/local").glob("*.py"))
    compose = {name for name, _, _ in COMPOSE_VARIABLE.findall(text_of("docker-compose.yml"))}
    elsewhere = {name for name in example if f'"{name}"' in code}

    assert set(example) - set(settings) - compose - elsewhere == set()


def test_the_example_tells_every_name_of_the_compose_file(example):
    compose = {name for name, _, _ in COMPOSE_VARIABLE.findall(text_of("docker-compose.yml")) if name}

    assert compose - set(example) == set()


def test_the_example_tells_the_defaults(example, settings):
    # null: on in development, off in production.
    expected = {name: default for name, default in settings.items() if default != "null"}
    expected |= {name: default for name, default, _ in COMPOSE_VARIABLE.findall(text_of("docker-compose.yml")) if name}

    assert {name: example[name] for name in expected} == expected

"""The import rules of setup.cfg hold, and each of them is seen to fail."""

import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("auth_svc", "users_svc", "payments_svc", "gateway", "lib")


class Plant(NamedTuple):
    """A violation: modules with the lines that are added to them."""

    contract: str
    modules: dict[str, str]


PLANTS = {
    "domain knows a use case": Plant("inward", {"auth_svc/domain/planted.py": "import auth_svc.application"}),
    "infrastructure knows the Nameko class": Plant(
        "inward", {"users_svc/infrastructure/planted.py": "import users_svc.presentation"}
    ),
    "a folder beside the layers": Plant("inward", {"payments_svc/helpers/__init__.py": ""}),
    "service knows service": Plant("apart", {"users_svc/infrastructure/planted.py": "import auth_svc.domain"}),
    "gateway knows service": Plant("apart", {"gateway/planted.py": "import payments_svc.application"}),
    "service knows service by way of lib": Plant(
        "apart",
        {"lib/planted.py": "import auth_svc.domain", "users_svc/infrastructure/planted.py": "import lib.planted"},
    ),
    "domain knows a library": Plant("pure", {"payments_svc/domain/planted.py": "from sqlalchemy import Column"}),
    "use case knows the transport": Plant("pure", {"users_svc/application/planted.py": "from nameko.rpc import rpc"}),
    "domain knows a library by way of lib": Plant("pure", {"auth_svc/domain/planted.py": "import lib.outbox"}),
    "domain rolls dice": Plant("unmoved", {"payments_svc/domain/planted.py": "import random"}),
    "use case reads the environment": Plant("unmoved", {"auth_svc/application/planted.py": "from os import environ"}),
    "domain makes ids": Plant(
        "domain knows of lib its errors and aggregates", {"users_svc/domain/planted.py": "from lib.ids import new_id"}
    ),
    "use case reads the caller": Plant(
        "application knows of lib its errors, aggregates and ids",
        {"payments_svc/application/planted.py": "from lib import context"},
    ),
    "use case reads the caller by way of its domain": Plant(
        "application knows of lib its errors, aggregates and ids",
        {
            "payments_svc/domain/planted.py": "from lib import context",
            "payments_svc/application/planted.py": "import payments_svc.domain.planted",
        },
    ),
    "what the domain may import imports more": Plant("core of lib stands alone", {"lib/errors.py": "import lib.logs"}),
    "Nameko class knows an adapter": Plant(
        "thin", {"auth_svc/presentation/planted.py": "import auth_svc.infrastructure"}
    ),
    "lib knows a service": Plant("generic", {"lib/planted.py": "import payments_svc.domain"}),
    "lib knows the gateway": Plant("generic", {"lib/planted.py": "import gateway"}),
    "gateway opens a database": Plant("gateway has no database", {"gateway/planted.py": "import lib.database"}),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages with the rules."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache", "--no-logo"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_tree_keeps_the_rules(tree):
    result = lint(tree)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS.keys())
def test_a_planted_violation_is_found(tree, plant):
    for name, line in plant.modules.items():
        module = tree / name
        module.parent.mkdir(exist_ok=True)
        with module.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")

    result = lint(tree)

    assert result.returncode == 1, result.stdout + result.stderr
    assert f"\n{plant.contract} BROKEN" in result.stdout


def test_every_rule_has_been_seen_to_fail():
    rules = ConfigParser(inline_comment_prefixes=None, interpolation=None)
    rules.read(ROOT / "setup.cfg", encoding="utf-8")
    names = {rules[section]["name"] for section in rules.sections() if section.startswith("importlinter:contract:")}

    assert names == {plant.contract for plant in PLANTS.values()}


def test_every_package_is_under_the_rules():
    rules = ConfigParser(interpolation=None)
    rules.read(ROOT / "setup.cfg", encoding="utf-8")
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "deploy", "benchmarks"}

    assert set(rules["importlinter"]["root_packages"].split()) == packages == set(PACKAGES)

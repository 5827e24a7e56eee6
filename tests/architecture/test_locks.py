"""The locks fit setup.cfg, and setup.cfg fits the code."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.files import ROOT, text_of


def locked(name: str) -> dict[str, Version]:
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", text_of(name), re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version in pins}


@pytest.fixture(scope="module")
def requirements(setup_cfg) -> dict[str, list[Requirement]]:
    def parse(text: str) -> list[Requirement]:
        return [Requirement(line) for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]

    runtime = parse(setup_cfg["options"]["install_requires"])
    return {
        "requirements.lock": runtime,
        "requirements-dev.lock": runtime + parse(setup_cfg["options.extras_require"]["dev"]),
    }


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_fits_what_is_asked_for(name, requirements):
    pins = locked(name)

    unfit = [
        str(each)
        for each in requirements[name]
        if not each.specifier.contains(pins.get(canonicalize_name(each.name), "0"))
    ]
    assert unfit == [], "run deploy/lock.sh"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_holds_versions_and_hashes_only(name):
    lines = [line.strip() for line in text_of(name).splitlines() if line.strip() and not line.startswith("#")]
    pin = re.compile(r"[\w.-]+==[\w.+!]+( ; [^\\]+)? \\")
    digest = re.compile(r"--hash=sha256:[0-9a-f]{64}( \\)?")

    assert [line for line in lines if not pin.fullmatch(line) and not digest.fullmatch(line)] == []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if pin.fullmatch(line):
            assert digest.fullmatch(following), line


def test_the_tools_run_on_what_runs_in_production():
    runtime, development = locked("requirements.lock"), locked("requirements-dev.lock")

    assert {name: development.get(name) for name in runtime} == runtime


def imported(folders: list[str]) -> set[str]:
    """Return the top-level names of what the code imports."""
    found = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    found |= {each.name.partition(".")[0] for each in names}
                case ast.ImportFrom(module=str(module), level=0):
                    found.add(module.partition(".")[0])
    return found


def test_what_is_imported_is_asked_for(setup_cfg, requirements):
    """Not only there because something else needs it, or because this machine happens to have it."""
    packages = [line.removesuffix("*") for line in setup_cfg["options.packages.find"]["include"].split()]
    asked_for = {canonicalize_name(each.name) for each in requirements["requirements.lock"]}
    owners = packages_distributions()
    # _typeshed is only there for the type checker.
    foreign = imported(packages) - sys.stdlib_module_names - set(packages) - {"_typeshed"}

    assert {"nameko", "sqlalchemy", "flask"} <= foreign
    assert {
        name for name in foreign if not asked_for & {canonicalize_name(each) for each in owners.get(name, [])}
    } == set()

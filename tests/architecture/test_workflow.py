"""Continuous integration runs what people run."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.architecture.files import ROOT, check_schema, text_of


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    return yaml.safe_load(text_of(".github/workflows/ci.yml"))


def test_the_workflow_follows_its_schema(tmp_path):
    result = check_schema("vendor.github-workflows", ROOT / ".github/workflows/ci.yml")

    assert result.returncode == 0, result.stdout
    broken = tmp_path / "ci.yml"
    broken.write_text(text_of(".github/workflows/ci.yml").replace("runs-on:", "run-on:"), encoding="utf-8")
    assert check_schema("vendor.github-workflows", broken).returncode == 1


def test_the_workflow_uses_exact_versions(workflow):
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]

    assert used
    assert [each for each in used if not re.search(r"@(v\d+\.\d+\.\d+|[0-9a-f]{40})$", each)] == []
    assert [job["runs-on"] for job in workflow["jobs"].values() if job["runs-on"].endswith("latest")] == []
    assert workflow["permissions"] == {"contents": "read"}


def test_the_workflow_runs_the_same_as_people_do(workflow):
    checks = workflow["jobs"]["checks"]

    assert ".ci/run" in [step.get("run") for step in checks["steps"]]
    assert {"3.11", "3.13"} <= set(checks["strategy"]["matrix"]["python"])


def test_the_run_checks_first_and_then_tests(tmp_path):
    calls = tmp_path / "calls"
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\necho "$PWD $*" >> "$CALLS"\n[ "$1" != "$FAIL" ]\n', encoding="utf-8")
    make.chmod(0o755)

    def run(fail: str) -> tuple[int, list[str]]:
        calls.unlink(missing_ok=True)
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "FAIL": fail}
        code = subprocess.run([ROOT / ".ci/run"], cwd=tmp_path, env=environment, check=False).returncode
        return code, calls.read_text(encoding="utf-8").splitlines()

    assert run(fail="") == (0, [f"{ROOT} check", f"{ROOT} test"])
    assert run(fail="check")[0] != 0
    assert run(fail="check")[1] == [f"{ROOT} check"]
    assert run(fail="test")[0] != 0

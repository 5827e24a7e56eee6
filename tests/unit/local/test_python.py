"""Finding a Python that really runs."""

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy" / "local" / "python.sh"

# Stand-ins for `python3.x -c …`: the version check names `version_info`, the check for venv names `ensurepip`, the one
# for the way it was built `--enable-optimizations`.
WORKS = "exit 0"
OLD = "case $2 in *version_info*) exit 1;; esac; exit 0"
NO_VENV = "case $2 in *ensurepip*) exit 1;; esac; exit 0"
SLOW = "case $2 in *--enable-optimizations*) exit 1;; esac; exit 0"
SHIM = "echo 'pyenv: command not found' >&2; exit 127"


@pytest.fixture
def find(tmp_path):
    def run(*folders, **programs):
        """:param folders: more of the PATH, each with the programs in it"""
        path = []
        for number, found in enumerate((programs, *folders)):
            folder = tmp_path / str(number) if number else tmp_path
            folder.mkdir(exist_ok=True)
            path.append(str(folder))
            for name, body in found.items():
                program = folder / name.replace("_", ".")
                program.write_text(f"#!/bin/sh\n{body}\n")
                program.chmod(0o755)
        return subprocess.run(
            ["/bin/bash", str(SCRIPT)], env={"PATH": ":".join(path)}, capture_output=True, text=True, check=False
        )

    return run


def test_the_newest_supported_one_wins(find, tmp_path):
    assert find(python3_13=WORKS, python3_12=WORKS, python3=WORKS).stdout == f"{tmp_path}/python3.13\n"


def test_a_shim_that_does_not_run_is_passed_over(find, tmp_path):
    assert find(python3_13=SHIM, python3_12=SHIM, python3_11=WORKS).stdout == f"{tmp_path}/python3.11\n"


def test_an_old_python3_is_passed_over(find):
    done = find(python3=OLD)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "no usable Python 3.11" in done.stderr


def test_one_that_can_make_environments_is_preferred(find, tmp_path):
    assert find(python3_13=NO_VENV, python3=WORKS).stdout == f"{tmp_path}/python3\n"


def test_one_that_cannot_is_better_than_none(find, tmp_path):
    assert find(python3_12=NO_VENV).stdout == f"{tmp_path}/python3.12\n"


def test_one_that_was_built_with_optimizations_is_preferred_to_a_newer_one(find, tmp_path):
    assert find(python3_13=SLOW, python3_11=WORKS).stdout == f"{tmp_path}/python3.11\n"


def test_so_is_one_that_comes_later_on_the_path(find, tmp_path):
    assert find({"python3_11": WORKS}, python3_11=SLOW).stdout == f"{tmp_path}/1/python3.11\n"


def test_a_slow_one_that_can_make_environments_is_better_than_one_that_cannot(find, tmp_path):
    assert find(python3_13=NO_VENV, python3_12=SLOW, python3_11=SLOW).stdout == f"{tmp_path}/python3.12\n"


@pytest.mark.parametrize(
    ("prefix", "arguments", "optimized"),
    [
        ("/usr", "--enable-shared", True),
        ("/opt/python", "'--enable-shared' '--enable-optimizations'", True),
        ("/opt/python", "'--enable-shared'", False),
        ("/opt/python", None, False),
    ],
)
def test_who_was_built_with_optimizations(monkeypatch, prefix, arguments, optimized):
    (check,) = re.findall(r"is_optimized='(.*?)'", SCRIPT.read_text(), re.DOTALL)
    monkeypatch.setattr(sys, "base_prefix", prefix)
    monkeypatch.setattr(sysconfig, "get_config_var", {"CONFIG_ARGS": arguments}.get)
    with pytest.raises(SystemExit) as ended:
        exec(check, {})  # noqa: S102  (our own line, of the script)
    assert ended.value.code == (not optimized)


def test_none_at_all(find):
    assert find().returncode == 1

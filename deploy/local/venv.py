"""The virtual environment `.venv`, built from a lock file and kept until the lock file changes."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import apt, steps
from deploy.local.console import LocalError, say

RUNTIME = "requirements.lock"
DEVELOPMENT = "requirements-dev.lock"

SHOWN = ("Collecting ", "Installing ", "Building ", "ERROR", "error")


def ensure(project: Path, lock: str) -> Path:
    """Return the environment's Python after installing what the lock file lists, if that is not there yet."""
    file = project / lock
    if not file.exists():
        raise LocalError(f"{lock} is missing: this is not a complete checkout")
    folder = project / ".venv"
    wanted = _fingerprint(file)
    stamp = folder / f".{lock}.sha256"
    if _is(stamp, wanted) and _runs(folder):
        return _python(folder)
    with _one_at_a_time(project):
        if _is(stamp, wanted) and _runs(folder):
            return _python(folder)
        _create(folder)
        say(f"  installing the packages of {lock} into .venv (again only when that file changes)")
        _install(folder, file)
        stamp.write_text(wanted)
    return _python(folder)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _fingerprint(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _is(stamp: Path, wanted: str) -> bool:
    try:
        return stamp.read_text() == wanted
    except OSError:
        return False


def _runs(folder: Path) -> bool:
    """Tell whether the environment works: a moved checkout or an upgraded Python leaves a broken one."""
    try:
        # Every script names its Python in the first lines, and after a move that is the wrong one.
        with (folder / "bin" / "pip").open(encoding="utf-8") as script:
            if f"{folder}/bin/" not in script.read(1024):
                return False
    except (OSError, UnicodeDecodeError):
        return False
    check = "import sys; print(sys.prefix); sys.exit(sys.version_info < (3, 11))"
    try:
        done = subprocess.run(
            [str(_python(folder)), "-c", check], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and os.path.realpath(done.stdout.strip()) == os.path.realpath(folder)


@contextmanager
def _one_at_a_time(project: Path) -> Iterator[None]:
    """Let `make up` and `make test` of one checkout take turns."""
    (project / ".local").mkdir(exist_ok=True)
    with (project / ".local" / "venv.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("  waiting for another command that is preparing .venv")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _create(folder: Path) -> None:
    if _runs(folder) and steps.run([str(_python(folder)), "-m", "pip", "--version"]) is None:
        return
    if folder.exists():
        say("  .venv does not work any more (moved, or its Python is gone): building it anew")
        shutil.rmtree(folder)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        package = f"python{version}-venv"
        if not apt.usable():
            raise LocalError(
                f"{sys.executable} lacks the modules venv and ensurepip; "
                f"on Debian and Ubuntu: sudo apt-get install -y {package}"
            )
        apt.install([package])
        importlib.invalidate_caches()
    say(f"  making .venv with Python {version} ({sys.executable})")
    failed = steps.run([sys.executable, "-m", "venv", str(folder)])
    if failed is not None:
        shutil.rmtree(folder, ignore_errors=True)
        raise LocalError(f"{sys.executable} could not make a virtual environment:{failed}")


def _install(folder: Path, lock: Path) -> None:
    command = [str(_python(folder)), "-m", "pip", "install", "--require-hashes", "--progress-bar", "off"]
    failed = steps.run([*command, "--disable-pip-version-check", "-r", str(lock)], show=SHOWN)
    if failed is not None:
        raise LocalError(f"pip could not install {lock.name}; is a package index reachable?{failed}")

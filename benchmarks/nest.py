"""The NestJS peer: built from ``peers/nest`` into ``.local``, when Node.js is there."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.load import ROOT

SOURCE = Path(__file__).parent / "peers" / "nest"
PLACE = ROOT / ".local" / "nest-peer"


class NotAvailable(Exception):
    """There is no such peer on this machine; the message is one line that says why."""


def build() -> dict[str, list[str]]:
    """Return the commands of its two programs; built once for each version of its source."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NotAvailable("needs node and npm")
    stamp, wanted = PLACE / "built", _version(node)
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(PLACE, ignore_errors=True)
        shutil.copytree(SOURCE, PLACE, ignore=shutil.ignore_patterns("node_modules", "dist"))
        _run("npm ci", [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        _run("tsc", [node, "node_modules/typescript/bin/tsc", "-p", "."])
        stamp.write_text(wanted)
    return {"service": [node, str(PLACE / "dist" / "users.js")], "gateway": [node, str(PLACE / "dist" / "gateway.js")]}


def _version(node: str) -> str:
    version = hashlib.sha256(_run("node", [node, "--version"], ROOT).encode())
    for file in [*sorted(SOURCE.glob("*.json")), *sorted(SOURCE.glob("src/*.ts"))]:
        version.update(file.read_bytes())
    return version.hexdigest()


def _run(title: str, command: Sequence[str], folder: Path = PLACE) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NotAvailable(f"{title}: {exc}") from exc
    if done.returncode:
        said = (line for line in (done.stdout + done.stderr).splitlines() if "error" in line)
        raise NotAvailable(f"{title} failed: {next(said, done.returncode)}")
    return done.stdout

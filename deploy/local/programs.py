"""RabbitMQ, PostgreSQL and Redis on this machine: where they are, and how to get those that are missing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from glob import glob
from pathlib import Path

from deploy.local import apt
from deploy.local.console import LocalError

PACKAGES = {
    "apt-get": {"rabbitmq": "rabbitmq-server", "postgres": "postgresql", "redis": "redis-server"},
    "dnf": {"rabbitmq": "rabbitmq-server", "postgres": "postgresql-server", "redis": "redis"},
    "zypper": {"rabbitmq": "rabbitmq-server", "postgres": "postgresql-server", "redis": "redis"},
    "pacman": {"rabbitmq": "rabbitmq", "postgres": "postgresql", "redis": "redis"},
    "apk": {"rabbitmq": "rabbitmq-server", "postgres": "postgresql", "redis": "redis"},
    "brew": {"rabbitmq": "rabbitmq", "postgres": "postgresql@17", "redis": "redis"},
}
COMMANDS = {
    "apt-get": "sudo apt-get install -y --no-install-recommends",
    "dnf": "sudo dnf install",
    "zypper": "sudo zypper install",
    "pacman": "sudo pacman -S",
    "apk": "sudo apk add",
    "brew": "brew install",
}
NAMES = {"rabbitmq": "RabbitMQ", "postgres": "PostgreSQL", "redis": "Redis"}

# Debian's /usr/sbin/rabbitmq-server and rabbitmqctl are wrappers that insist on the user `rabbitmq`; the scripts behind
# them do not, so those folders come first.
RABBITMQ_FOLDERS = (
    "/usr/lib/rabbitmq/bin",
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/opt/rabbitmq/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
)
POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
OLDEST_POSTGRES = 13


def _newest(folders: Iterable[str]) -> list[Path]:
    def version(path: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", path)]

    return [Path(found) for pattern in folders for found in sorted(glob(pattern), key=version, reverse=True)]


def _holds(folder: Path, programs: Iterable[str]) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in programs)


def _on_path(program: str) -> list[Path]:
    found = shutil.which(program)
    return [Path(found).resolve().parent, Path(found).parent] if found else []


def rabbitmq_folder() -> Path | None:
    """Return the folder of RabbitMQ's own scripts."""
    needed = ("rabbitmq-server", "rabbitmqctl", "rabbitmq-env")
    candidates = [*_newest(RABBITMQ_FOLDERS), *_on_path("rabbitmq-server")]
    if not epmd():
        return None
    return next((folder for folder in candidates if _holds(folder, needed)), None)


def epmd() -> Path | None:
    """Return Erlang's port mapper, which some installations keep beside the runtime only."""
    found = shutil.which("epmd")
    if found:
        return Path(found)
    patterns = ("/usr/lib/erlang/erts-*/bin/epmd", "/usr/local/lib/erlang/erts-*/bin/epmd", "/usr/lib*/erlang/bin/epmd")
    return next(iter(_newest(patterns)), None)


def postgres_folder() -> Path | None:
    """Return the folder of the newest PostgreSQL server programs."""
    needed = ("initdb", "postgres", "psql", "pg_isready")
    for folder in [*_newest(POSTGRES_FOLDERS), *_on_path("postgres")]:
        version = re.search(r"(\d+)(?:\.\d+)?/bin$", str(folder))
        if _holds(folder, needed) and (version is None or int(version[1]) >= OLDEST_POSTGRES):
            return folder
    return None


def redis_server() -> Path | None:
    """Return the Redis server, or Valkey, which took its place in some distributions."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found) if found else None


FINDERS: Mapping[str, Callable[[], Path | None]] = {
    "rabbitmq": rabbitmq_folder,
    "postgres": postgres_folder,
    "redis": redis_server,
}


def missing(parts: Iterable[str] = tuple(FINDERS)) -> list[str]:
    return [part for part in parts if FINDERS[part]() is None]


def how_to_install(parts: Iterable[str], which: Callable[[str], str | None] = shutil.which) -> str:
    """Return the one line that says what to install and with which command."""
    parts = list(parts)
    names = " and ".join(filter(None, [", ".join(NAMES[part] for part in parts[:-1]), NAMES[parts[-1]]]))
    for manager, packages in PACKAGES.items():
        if which(manager):
            return f"{names} not found: {COMMANDS[manager]} {' '.join(packages[part] for part in parts)}"
    return f"{names} not found: install {'it' if len(parts) == 1 else 'them'} with your system's package manager"


def ensured(part: str) -> Path:
    """Return where a program is, after installing it if need be."""
    ensure([part])
    found = FINDERS[part]()
    if found is None:
        raise LocalError(how_to_install([part]))
    return found


def ensure(parts: Iterable[str] = tuple(FINDERS)) -> None:
    """Make sure that the programs are there; installs them when we may, else says what to install."""
    absent = missing(parts)
    if not absent:
        return
    if not apt.usable():
        raise LocalError(how_to_install(absent))
    apt.install([PACKAGES["apt-get"][part] for part in absent])
    still = missing(absent)
    if still:
        raise LocalError(how_to_install(still))

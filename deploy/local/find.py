"""Where `make up` takes RabbitMQ, PostgreSQL and Redis from: given addresses, Docker, or programs of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from deploy.local import compose
from deploy.local.console import LocalError
from deploy.local.environment import SERVICES
from deploy.local.infra import ALL, Infrastructure
from deploy.local.parts import Part
from deploy.local.ports import answers, wait_until

DATABASE_URLS = tuple(f"{service.upper()}_DATABASE_URL" for service in SERVICES)
STANDARD_PORTS = {"amqp": 5672, "pyamqp": 5672, "amqps": 5671, "redis": 6379, "rediss": 6379}
PATIENCE = 15


class Servers(Protocol):
    """What runs the infrastructure."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def ended(self) -> list[Part]: ...
    def environment(self) -> dict[str, str]: ...


def is_given(environ: Mapping[str, str], name: str) -> bool:
    return bool(environ.get(name) or environ.get(f"{name}_FILE"))


def given_parts(environ: Mapping[str, str]) -> set[str]:
    """Return which servers somebody else provides."""
    parts = set()
    if is_given(environ, "AMQP_URI"):
        parts.add("rabbitmq")
    if is_given(environ, "REDIS_URL"):
        parts.add("redis")
    missing = [name for name in DATABASE_URLS if not is_given(environ, name)]
    if not missing:
        parts.add("postgres")
    elif len(missing) < len(DATABASE_URLS):
        present = " and ".join(name for name in DATABASE_URLS if name not in missing)
        raise LocalError(f"{present} given, but not {' and '.join(missing)}: give all three, or none")
    return parts


def owner_urls(environ: Mapping[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """Return the owner roles' addresses that were not given beside given ones of the app roles."""
    values: dict[str, str] = {}
    for name in DATABASE_URLS:
        owner = name.replace("_DATABASE", "_MIGRATION_DATABASE")
        if is_given(environ, name) and not is_given(environ, owner):
            say(f"  {owner} (the role that owns the tables) is not given: migrating with {name}")
            values |= {owner: environ[name]} if environ.get(name) else {f"{owner}_FILE": environ[f"{name}_FILE"]}
    return values


def check_given(environ: Mapping[str, str], say: Callable[[str], None], patience: float = PATIENCE) -> None:
    """Make sure that somebody listens at the given addresses, or say which one is wrong."""
    for name in ("AMQP_URI", *DATABASE_URLS, "REDIS_URL"):
        url = environ.get(name)
        if not url or ";" in url:
            continue  # several addresses for one broker: which of them have to answer is not for us to say
        try:
            address = urlsplit(url)
            scheme, host, port = address.scheme, address.hostname, address.port
        except ValueError as exc:
            # The address itself is not shown: it may hold a password.
            raise LocalError(f"{name} is not an address: {exc}") from None
        if scheme.startswith("unix") or not host:
            continue
        port = port or STANDARD_PORTS.get(scheme, 5432)
        if answers(port, host):
            continue
        say(f"  waiting for {host}:{port} ({name})")
        if not wait_until(lambda host=host, port=port: answers(port, host), patience, 0.5):  # type: ignore[misc]
            raise LocalError(
                f"{name} is given, but nothing answers at {host}:{port}; "
                f"without it in the environment and in .env, `make up` starts what it needs by itself"
            )


def servers(
    environ: Mapping[str, str],
    *,
    project: Path,
    root: Path,
    say: Callable[[str], None],
    engine_answers: Callable[[Path], bool] = compose.engine_answers,
) -> tuple[str, Servers | None]:
    """Return how the servers are provided that were not given, and by what; None when all of them were."""
    given = given_parts(environ)
    parts = [part for part in ALL if part not in given]
    if not parts:
        return "given", None
    wanted = environ.get("INFRA", "")
    if wanted not in ("", "docker", "native"):
        raise LocalError(f"INFRA: expected docker or native, got {wanted!r}")
    if wanted != "native":
        if engine_answers(project):
            return "docker", compose.Compose(project, root, parts=parts, environ=environ, say=say)
        if wanted == "docker":
            raise LocalError("INFRA=docker, but no Docker engine with `docker compose` answers")
    return "native", Infrastructure(root, preferred=True, parts=parts, say=say)


def native(environ: Mapping[str, str], *, root: Path, say: Callable[[str], None]) -> Infrastructure:
    """Return the way out when containers do not work although an engine answers, e.g. without a registry."""
    given = given_parts(environ)
    return Infrastructure(root, preferred=True, parts=[part for part in ALL if part not in given], say=say)

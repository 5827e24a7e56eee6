"""The four processes: what they are called, where they listen, with which settings they start."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.console import LocalError
from deploy.local.environment import SERVICES, is_ours, names_in, number
from deploy.local.ports import is_free
from deploy.local.supervisor import Command

#: What glibc is told in the processes that hash passwords (`man ld.so`, GLIBC_TUNABLES). A hash walks through 19 MiB in
#: no order: in pages of 4 KiB the processor spends a good part of its time looking up where they are. With huge pages
#: it does not, and they need a single heap that is kept: the memory of threads' own heaps, and what is given back and
#: asked for again, is in small pages. Where the kernel has none (/sys/kernel/mm/transparent_hugepage), nothing changes.
HUGE_PAGES = (
    "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1"
    ":glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=1073741824"
)


@dataclass(frozen=True)
class Listener:
    """A fixed port of one of our processes."""

    process: str
    variable: str
    host: str
    port: int
    health: str

    @property
    def address(self) -> str:
        """Where this machine reaches it: "all interfaces" is no address to connect to."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"

    @property
    def health_url(self) -> str:
        return f"{self.address}{self.health}"


def listeners(environ: Mapping[str, str]) -> list[Listener]:
    """Return the fixed ports as configured, the gateway's first."""
    service_host = environ.get("SERVICE_HTTP_HOST") or "127.0.0.1"
    gateway_port = number(environ, "GATEWAY_PORT", 3000, 1, 65535)
    found = [
        Listener("gateway", "GATEWAY_PORT", environ.get("GATEWAY_HOST") or "127.0.0.1", gateway_port, "/health"),
        *(
            Listener(
                f"{service}_svc",
                f"{service.upper()}_HTTP_PORT",
                service_host,
                number(environ, f"{service.upper()}_HTTP_PORT", 3001 + index, 1, 65535),
                "/api/v1/health",
            )
            for index, service in enumerate(SERVICES)
        ),
    ]
    for index, each in enumerate(found):
        same = next((other for other in found[:index] if other.port == each.port), None)
        if same:
            raise LocalError(f"{same.variable} and {each.variable} are both {each.port}: change one of them")
    return found


def check_ports(wanted: list[Listener]) -> None:
    """Say which fixed port is taken before anything is started."""
    for each in wanted:
        if not is_free(each.port, each.host):
            raise LocalError(
                f"port {each.port} ({each.process}) is taken by another program: stop that program, "
                f"or choose another port: make up {each.variable}={each.port + 100}"
            )


def for_processes(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the running processes: without the roles that may do more than they need to."""
    return {
        name: value
        for name, value in environ.items()
        if "_MIGRATION_DATABASE_URL" not in name and name not in ("POSTGRES_SUPERUSER_URL", "HTTP_PORT")
    }


def for_shell(environ: Mapping[str, str], project: Path) -> dict[str, str]:
    """Return the settings for `.local/env`: everything that is ours, nothing of the machine's."""
    known = names_in(project / "config.yaml")
    return {name: value for name, value in environ.items() if name in known or is_ours(name)}


def memory_settings(process: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a process gets beside the settings, as docker-compose.yml says it, too; what is given stays."""
    return {"GLIBC_TUNABLES": environ.get("GLIBC_TUNABLES") or HUGE_PAGES} if process == "auth_svc" else {}


def commands(python: Path, environ: Mapping[str, str]) -> list[Command]:
    """Return the processes: services first, the gateway in front of them."""
    instances = number(environ, "SERVICE_INSTANCES", 1, 1, 64)
    found = []
    for service in SERVICES:
        name = f"{service}_svc"
        for instance in range(1, instances + 1):
            # Only the first instance has the fixed port; a port can be had once.
            first = instance == 1
            found.append(
                Command(
                    name=name if first else f"{name}.{instance}",
                    argv=[str(python), "-m", "lib.runner", name],
                    env=memory_settings(name, environ) | ({} if first else {"HTTP_PORT": "0"}),
                )
            )
    found.append(Command(name="gateway", argv=[str(python), "-m", "gateway"], stage=1))
    return found


def _without_password(url: str) -> str:
    """Return an address that may stand on a screen."""
    try:
        address = urlsplit(url)
        host = address.hostname or ""
        port = f":{address.port}" if address.port else ""
    except ValueError:
        return "(as given)"
    user = f"{address.username}@" if address.username else ""
    return f"{address.scheme.split('+')[0]}://{user}{host}{port}{address.path}"


def welcome(wanted: list[Listener], environ: Mapping[str, str], how: str, seconds: float) -> str:
    """Return what the person at the keyboard wants to know when everything is up."""
    gateway, *services = wanted
    base = f"http://localhost:{gateway.port}" if gateway.address.startswith("http://127.0.0.1:") else gateway.address
    mine = how != "given"
    rows = [
        ("Gateway", f"{base}/api/v1"),
        ("API docs", f"{base}/docs"),
        ("Health", f"{base}/health"),
        *((each.process, each.health_url) for each in services),
    ]
    management = environ.get("AMQP_MANAGEMENT_URL")
    if management:
        address = urlsplit(management)
        login = f"   login {address.username} / {address.password}" if mine and address.username else ""
        rows.append(("RabbitMQ UI", f"{address.scheme}://{address.hostname}:{address.port}{login}"))
    elif environ.get("AMQP_URI"):
        rows.append(("RabbitMQ", _without_password(environ["AMQP_URI"])))
    database = environ.get("AUTH_DATABASE_URL")
    if database:
        shown = database.replace("+psycopg2", "") if mine else _without_password(database)
        rows.append(("PostgreSQL", f"{shown}   likewise users, payments"))
    if environ.get("REDIS_URL"):
        rows.append(("Redis", _without_password(environ["REDIS_URL"])))
    rows.append(("RPC", "`make shell` in another terminal"))
    rows.append(("Logs", ".local/log/"))
    table = "\n".join(f"  {name:<13}{value}" for name, value in rows)
    # A new address each time: the second `make up` finds the account of the first one.
    email = f"ada.{secrets.token_hex(2)}@example.com"
    body = f'{{"email":"{email}","password":"SecurePass123!","name":"Ada Lovelace"}}'
    return (
        f"\nLeveret is up ({seconds:.0f} s). Ctrl-C stops everything.\n\n{table}\n\nA first request:\n\n"
        f"  curl -i {base}/api/v1/auth/register -H 'Content-Type: application/json' \\\n    -d '{body}'\n"
    )

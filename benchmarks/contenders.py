"""What is measured: who takes part in which discipline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import requests

from benchmarks import load
from benchmarks.load import Figures
from benchmarks.servers import Servers
from tests.support.processes import cpu_seconds
from tests.support.waiting import eventually

OURS = "Leveret"
NEST = "NestJS"


@dataclass(frozen=True)
class Contender:
    """One line of the table.

    :param ask: makes the load for so many seconds
    :param processes: the programs that do the work, by the title of their column
    """

    name: str
    ask: Callable[[float], Figures]
    processes: Mapping[str, int] = field(default_factory=dict)

    def measure(self, seconds: float) -> tuple[Figures, Figures]:
        """Return the load's figures, and the CPU milliseconds of one request for each program."""
        before = {title: cpu_seconds(pid) for title, pid in self.processes.items()}
        figures = self.ask(seconds)
        spent = {title: cpu_seconds(pid) - before[title] for title, pid in self.processes.items()}
        if "client" in figures:
            spent = {"client": figures["client"], **spent}
        return figures, {title: each * 1000 / figures["requests"] for title, each in spent.items()}


def ours(servers: Servers) -> dict[str, Contender]:
    """Return our line for each HTTP discipline, and a user to ask for."""
    url, post = servers.stack.url, servers.post
    registered = requests.post(
        f"{url}/auth/register",
        json={"email": f"{time.time_ns():x}@example.com", "password": "SecurePass123!", "name": "Bench"},
        timeout=20,
    ).json()
    token, user_id = registered["access_token"], registered["user"]["id"]
    eventually(lambda: requests.get(f"{url}/users/{user_id}", timeout=5).status_code == 200)
    read = servers.programs(gateway="gateway", service="users_svc")
    return {
        "HTTP read": Contender(
            f"{OURS}, with JWT",
            lambda seconds: load.wrk(f"{url}/api/v1/users/profile", seconds, token=token),
            read,
        ),
        "HTTP create": Contender(
            f"{OURS}, two services",
            lambda seconds: load.wrk(f"{url}/api/v1/users", seconds, post=post),
            {**read, **servers.programs(auth_svc="auth_svc")},
        ),
    }


def everybody(servers: Servers) -> dict[str, list[Contender]]:
    """Return who takes part, by discipline; the first one of each is what the others are compared with."""
    environment, post = servers.environment, servers.post
    peer, peer_user = servers.stock_url, servers.new_user(servers.stock_url)
    stock = servers.programs(gateway="stock gateway", service="stock service")
    mine = ours(servers)
    areas = {
        f"RPC echo, {load.IN_FLIGHT} in flight": [
            Contender(
                "stock Nameko",
                lambda seconds: load.rpc("stock", seconds, environment),
                servers.programs(service="stock service"),
            ),
            Contender(
                OURS, lambda seconds: load.rpc("ours", seconds, environment), servers.programs(service="echo service")
            ),
        ],
        "HTTP read": [
            Contender("proxy per request", lambda seconds: load.wrk(f"{peer}/users/{peer_user}", seconds), stock),
            Contender("proxy per thread", lambda seconds: load.wrk(f"{peer}/kept/users/{peer_user}", seconds), stock),
            mine["HTTP read"],
        ],
        "HTTP create": [
            Contender("proxy per request", lambda seconds: load.wrk(f"{peer}/users", seconds, post=post), stock),
            Contender("proxy per thread", lambda seconds: load.wrk(f"{peer}/kept/users", seconds, post=post), stock),
            mine["HTTP create"],
        ],
    }
    if servers.nest_url:
        nest, nest_user = servers.nest_url, servers.new_user(servers.nest_url)
        programs = servers.programs(gateway="NestJS gateway", service="NestJS service")
        areas["HTTP read"].append(
            Contender(NEST, lambda seconds: load.wrk(f"{nest}/users/{nest_user}", seconds), programs)
        )
        areas["HTTP create"].append(
            Contender(NEST, lambda seconds: load.wrk(f"{nest}/users", seconds, post=post), programs)
        )
    return areas

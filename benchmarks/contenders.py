"""What is measured: who takes part in which discipline."""

from __future__ import annotations

import time

import requests

from benchmarks import load, scripts
from benchmarks.contender import Contender
from benchmarks.servers import Servers
from tests.support.waiting import eventually

OURS = "Leveret"
NEST = "NestJS"


def ours(servers: Servers) -> dict[str, Contender]:
    """Return our line for each HTTP discipline, and a user to ask for."""
    url = servers.stack.url
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
            lambda seconds: load.wrk(f"{url}/api/v1/users", seconds, script=scripts.NEW_USER),
            {**read, **servers.programs(auth_svc="auth_svc")},
        ),
    }


def everybody(servers: Servers) -> dict[str, list[Contender]]:
    """Return who takes part, by discipline; the first one of each is what the others are compared with."""
    environment = servers.environment
    peer, peer_user = servers.stock_url, servers.new_user(servers.stock_url)
    stock = servers.programs(gateway="stock gateway", service="stock service")
    mine = ours(servers)
    areas: dict[str, list[Contender]] = {
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
            Contender(
                "proxy per request", lambda seconds: load.wrk(f"{peer}/users", seconds, script=scripts.NEW_USER), stock
            ),
            Contender(
                "proxy per thread",
                lambda seconds: load.wrk(f"{peer}/kept/users", seconds, script=scripts.NEW_USER),
                stock,
            ),
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
            Contender(NEST, lambda seconds: load.wrk(f"{nest}/users", seconds, script=scripts.NEW_USER), programs)
        )
    return areas

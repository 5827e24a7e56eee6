"""Accounts under load: what logins and registrations leave of the machine's hashing, and refreshes beside creations."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from benchmarks import load, scripts
from benchmarks.contender import Contender
from benchmarks.servers import Servers
from deploy.local.system import HUGE_PAGES

PASSWORD = "SecurePass123!"
HASHING = "argon2id alone"


def contenders(servers: Servers) -> dict[str, list[Contender]]:
    """Return who takes part, by discipline; the first one of each is what the others are compared with."""
    url = f"{servers.stack.url}/api/v1"
    programs = servers.programs(gateway="gateway", service="users_svc", auth_svc="auth_svc")
    people = register(url, load.CONNECTIONS * 4)
    logins = [
        json.dumps({"email": each["user"]["email"], "password": PASSWORD, "device_token": each["device_token"]})
        for each in people
    ]
    # As the library comes, and in the memory that auth_svc gives it. Ours has its turn right after the first one, with
    # which it is compared: what neighbours do to the machine's memory changes within seconds.
    alone = Contender(HASHING, load.argon2)
    in_huge_pages = Contender(f"{HASHING}, huge pages", lambda seconds: load.argon2(seconds, GLIBC_TUNABLES=HUGE_PAGES))

    tokens: list[str] = []

    def new_tokens() -> None:
        # Each time: what a run has left of its tokens has been used.
        tokens[:] = [each["refresh_token"] for each in register(url, load.CONNECTIONS * 2)]

    def refresh(seconds: float) -> load.Figures:
        return load.wrk(f"{url}/auth/refresh", seconds, script=scripts.REFRESH, lines=tokens)

    return {
        "login": [
            alone,
            Contender(
                "Leveret",
                lambda seconds: load.wrk(f"{url}/auth/login", seconds, script=scripts.IN_TURN, lines=logins),
                programs,
            ),
            in_huge_pages,
        ],
        "register": [
            alone,
            Contender(
                "Leveret",
                lambda seconds: load.wrk(f"{url}/auth/register", seconds, script=scripts.REGISTER),
                programs,
            ),
            in_huge_pages,
        ],
        "refresh": [
            Contender(
                "POST /users", lambda seconds: load.wrk(f"{url}/users", seconds, script=scripts.NEW_USER), programs
            ),
            Contender("Leveret", refresh, programs, prepare=new_tokens),
        ],
    }


def register(url: str, number: int) -> Sequence[Any]:
    """Register so many people, and return the answers."""
    tag = f"{time.time_ns():x}"

    def one(index: int) -> Any:
        body = {"email": f"{tag}-{index}@example.com", "password": PASSWORD, "name": "Load"}
        answer = requests.post(f"{url}/auth/register", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(number)))

"""Charges of a provider that takes its time: ``python -m benchmarks.charges``, part of ``make bench``.

Each request opens a payment, confirms it and captures it: a claim and the payment are committed, the sandbox is asked,
and state, posting, audit line, event and answer are committed. The sandbox takes 120 ms for an answer, half of the time
more. It then sends its message over HTTP, as providers do, unless BENCH_WEBHOOKS is ``off``. Beside it, in the same run
and through the same gateway, what a new user costs, for whom nobody has to be waited for. A request that is not
answered with a success ends the benchmark, so there are no errors in what is printed.

The customers take turns, as customers do: those of one customer come one after the other, by the customer's row.
"""

from __future__ import annotations

import os
import sys

from benchmarks import load, scripts
from benchmarks.accounts import register
from benchmarks.contender import Contender
from benchmarks.rounds import run
from benchmarks.servers import Servers

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
LATENCY_MS = 120
CUSTOMERS = 64
#: requests under way at a time: those that wait for a provider cost nothing but their places
CONNECTIONS = 32
GATEWAY = {"GATEWAY_WORKERS": "2", "GATEWAY_THREADS": "24"}
#: as many as the gateway can ask at a time; whoever waits for the provider holds no connection of the database
SERVICE = {"PAYMENTS_MAX_WORKERS": "48", "DB_POOL_SIZE": "24", "SANDBOX_LATENCY_MS": str(LATENCY_MS)}
WEBHOOKS = os.environ.get("BENCH_WEBHOOKS", "on")
WARM_UP = 2

CHARGE = """
local tokens, n = {}, 0
for line in io.lines(os.getenv("BENCH_FILE")) do tokens[#tokens + 1] = line end
local body = '{"amount": 1999, "currency": "EUR", "payment_method": "tok_visa", "description": "Load"}'
request = function()
  n = n + 1
  return wrk.format("POST", nil, {
    ["Content-Type"] = "application/json",
    ["Authorization"] = "Bearer " .. tokens[n % #tokens + 1],
    ["Idempotency-Key"] = string.format("%s-%d", os.getenv("BENCH_TAG"), n),
  }, body)
end
"""


def contenders(servers: Servers) -> dict[str, list[Contender]]:
    """Return who takes part; the gateway and payments_svc are started again, with a provider that takes its time."""
    stack = servers.stack
    stack.stop(["gateway", "payments_svc"])
    stack.start("payments_svc", **SERVICE, **({"SANDBOX_WEBHOOK_URL": "off"} if WEBHOOKS == "off" else {}))
    stack.start("gateway", **GATEWAY)
    url = f"{stack.url}/api/v1"
    tokens = [each["access_token"] for each in register(url, CUSTOMERS)]

    def create_users(seconds: float) -> load.Figures:
        return load.wrk(f"{url}/users", seconds, script=scripts.NEW_USER, connections=CONNECTIONS)

    def charge(seconds: float) -> load.Figures:
        return load.wrk(f"{url}/payments", seconds, script=CHARGE, lines=tokens, connections=CONNECTIONS)

    users = servers.programs(gateway="gateway", service="users_svc", auth_svc="auth_svc")
    payments = servers.programs(gateway="gateway", service="payments_svc", users_svc="users_svc")
    return {
        f"charge, provider {LATENCY_MS} ms": [
            Contender("POST /users", create_users, users),
            Contender("POST /payments", charge, payments),
        ]
    }


def sizes() -> str:
    """Return what the figures depend on, in one line."""
    workers, threads, own = GATEWAY["GATEWAY_WORKERS"], GATEWAY["GATEWAY_THREADS"], SERVICE["PAYMENTS_MAX_WORKERS"]
    return (
        f"Gateway: {workers} processes × {threads} threads. payments_svc: 1 process, {own} workers, "
        f"{SERVICE['DB_POOL_SIZE']} + 2 database connections. Load: {CONNECTIONS} connections, {CUSTOMERS} customers. "
        f"Messages of the provider: {WEBHOOKS}. {os.cpu_count()} cores for everything, the load included."
    )


def measure(rounds: int = ROUNDS, seconds: float = SECONDS) -> str:
    """Return the tables, in Markdown, below the sizes."""
    return f"{sizes()}\n\n{run(contenders, peers=False, rounds=rounds, seconds=seconds, warm_up=WARM_UP)}"


def main() -> int:
    if problem := load.missing():
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(measure())
    return 0


if __name__ == "__main__":
    sys.exit(main())

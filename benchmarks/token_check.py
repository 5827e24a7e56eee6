"""What checking an access token costs at the gateway: microseconds for a token that is new, and for one seen before.

``python -m benchmarks.token_check`` needs no server: keys and tokens are made here, the check is the gateway's own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from cryptography.fernet import Fernet, MultiFernet

from auth_svc.domain.account import Account
from auth_svc.domain.email import Email
from auth_svc.domain.session import Session
from auth_svc.infrastructure.keys import Es256KeyMaker, KeyRing
from auth_svc.infrastructure.tokens import JwtTokens
from lib.ids import new_id, utc_now
from lib.tokens import AccessTokenVerifier

ISSUER, AUDIENCE = "http://localhost:3000", "leveret"
TOKENS = 2000


def tokens() -> tuple[JwtTokens, Sequence[str]]:
    """Return a signer and tokens of as many accounts."""
    seal, now = MultiFernet([Fernet(Fernet.generate_key())]), utc_now()
    key = Es256KeyMaker(seal).make(now)
    signer = JwtTokens(KeyRing(lambda: [key], seal), ISSUER, AUDIENCE, timedelta(minutes=15), new_id)
    sign = signer.signer()
    made = []
    for number in range(TOKENS):
        account = Account.register(
            id=new_id(), email=Email(f"{number}@example.com"), name="Bench", password_hash="", now=now
        )
        session = Session.open(
            id=new_id(), account_id=account.id, token_hash=b"", amr=("pwd",), now=now, lifetime=timedelta(days=1)
        )
        made.append(sign(account, session, now).value)
    return signer, made


def timed(check: Callable[[str], object], values: Iterable[str]) -> list[float]:
    """Return how many microseconds each check took."""
    times = []
    for value in values:
        started = time.perf_counter_ns()
        check(value)
        times.append((time.perf_counter_ns() - started) / 1000)
    return times


def measure() -> str:
    """Return the table."""
    signer, made = tokens()
    verifier = AccessTokenVerifier(signer.jwks, issuer=ISSUER, audience=AUDIENCE)
    verifier.verify(made[0])
    rows = ["| token check at the gateway | p50 µs | p95 µs |", "| --- | --- | --- |"]
    for name, values in (("new", made[1:]), ("seen before", made[1:])):
        times = timed(verifier.verify, values)
        rows.append(f"| {name} | {statistics.median(times):.0f} | {statistics.quantiles(times, n=20)[18]:.0f} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(measure())

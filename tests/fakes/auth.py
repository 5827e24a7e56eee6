"""auth_svc's ports in memory. They pass the same contract tests as the real adapters."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from auth_svc.application.ports import AccessToken, Origin, Ports, Rules, SignAccessToken
from auth_svc.domain.account import Account
from auth_svc.domain.lockout import LockoutPolicy
from auth_svc.domain.session import RefreshPolicy, Session
from auth_svc.domain.signing_key import SigningKey
from lib.aggregate import DomainEvent
from lib.ids import new_id, new_id_after
from tests.fakes.auth_mailbox import (
    FakeBreachedPasswords,
    FakeDeviceTokens,
    FakeLoginKeys,
    FakeMailer,
    FakeOneTimeTokenMint,
)
from tests.fakes.auth_reads import FakeAuditLog, FakeOldRows, FakeReads
from tests.fakes.auth_store import START, FakeClock, FakeStore, FakeUnitOfWork

__all__ = ["POLICY", "START", "AuthWorld", "FakeStore", "FakeUnitOfWork"]

POLICY = RefreshPolicy(lifetime=timedelta(days=30), idle=timedelta(days=7), grace=timedelta(seconds=10))
RULES = Rules(
    private_registration=False,
    lockout=LockoutPolicy(attempts=5, window=timedelta(minutes=15)),
    mails_per_hour=5,
    invitation_lifetime=timedelta(days=30),
    access_token_lifetime=timedelta(minutes=15),
)
ORIGIN = Origin(actor_kind="anonymous", request_id="request-1", ip="192.0.2.7", user_agent="Firefox")


class FakeHasher:
    """Remembers how much work it did, and refuses to do any inside a transaction."""

    def __init__(self, store: FakeStore, parameters: str = "new") -> None:
        self._store = store
        self.parameters = parameters
        self.verified = 0

    def hash(self, password: str) -> str:
        self._outside()
        return f"{self.parameters}:{password}"

    def verify(self, password_hash: str | None, password: str) -> bool:
        self._outside()
        self.verified += 1
        return password_hash is not None and password_hash.partition(":")[2] == password

    def is_outdated(self, password_hash: str) -> bool:
        return password_hash.partition(":")[0] != self.parameters

    def _outside(self) -> None:
        assert not self._store.open_transactions, "hashing inside a transaction"


class CannotSignError(RuntimeError):
    pass


class FakeTokens:
    """Access tokens that can be read by eye."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.broken = False
        self.forgotten = 0

    def signer(self) -> SignAccessToken:
        assert not self._store.open_transactions, "reading the keys inside a transaction"
        if self.broken:
            raise CannotSignError

        def sign(account: Account, session: Session, now: datetime) -> AccessToken:
            return AccessToken(f"access/{account.id}/{session.id}/{now.isoformat()}", 900)

        return sign

    def jwks(self) -> dict[str, Any]:
        return {"keys": []}

    def claims(self, token: str) -> dict[str, Any] | None:
        parts = token.split("/") if isinstance(token, str) else []
        return {"sub": parts[1], "sid": parts[2]} if len(parts) == 4 and parts[0] == "access" else None

    def forget_keys(self) -> None:
        self.forgotten += 1


class FakeRefreshTokens:
    """``<session>/<secret>/<seal>``, the secret a number that follows from the token before.

    :param keys: names of the server's keys, the newest first
    """

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys or ("key",))
        self._issued = 0

    def issue(self, session_id: UUID) -> str:
        self._issued += 1
        return self._token(self.keys[0], session_id, f"first-{self._issued}")

    def session_of(self, token: object) -> UUID | None:
        id, *rest = token.split("/") if isinstance(token, str) else [""]
        try:
            return UUID(id) if len(rest) == 2 else None
        except ValueError:
            return None

    def fingerprint(self, token: str) -> bytes:
        return hashlib.sha256(token.encode()).digest()

    def successors(self, session_id: UUID, token: str, generation: int) -> Iterator[str]:
        for key in self.keys:
            yield self._token(key, session_id, _digest(key, str(session_id), token, str(generation)))

    def is_ours(self, session_id: UUID, token: str) -> bool:
        parts = token.split("/")
        return (
            len(parts) == 3
            and parts[0] == str(session_id)
            and any(parts[2] == _digest("seal", key, *parts[:2]) for key in self.keys)
        )

    def _token(self, key: str, session_id: UUID, secret: str) -> str:
        return f"{session_id}/{secret}/{_digest('seal', key, str(session_id), secret)}"


def _digest(*words: str) -> str:
    return hashlib.sha256("|".join(words).encode()).hexdigest()[:16]


class FakeKeyMaker:
    def __init__(self) -> None:
        self.made = 0

    def make(self, now: datetime) -> SigningKey:
        self.made += 1
        return SigningKey(
            kid=f"key-{self.made}", algorithm="ES256", public_jwk={}, sealed_private=b"", state="active", created_at=now
        )


@dataclass
class AuthWorld:
    """The ports, and the fakes behind them by their own types, for a test to look into."""

    store: FakeStore = field(default_factory=FakeStore)
    clock: FakeClock = field(default_factory=FakeClock)
    refresh_tokens: FakeRefreshTokens = field(default_factory=FakeRefreshTokens)
    key_maker: FakeKeyMaker = field(default_factory=FakeKeyMaker)
    common: frozenset[str] = frozenset({"password123", "football"})
    breached: FakeBreachedPasswords = field(default_factory=FakeBreachedPasswords)
    mailer: FakeMailer = field(default_factory=FakeMailer)
    one_time_tokens: FakeOneTimeTokenMint = field(default_factory=FakeOneTimeTokenMint)
    device_tokens: FakeDeviceTokens = field(default_factory=FakeDeviceTokens)
    reads: FakeReads | None = None
    rules: Rules = RULES
    audit_log: FakeAuditLog = field(default_factory=FakeAuditLog)
    old_rows: FakeOldRows = field(default_factory=FakeOldRows)
    origin: Origin = ORIGIN

    def __post_init__(self) -> None:
        self.store.origin = lambda: self.origin
        self.hasher = FakeHasher(self.store)
        self.tokens = FakeTokens(self.store)
        self.reads = self.reads or FakeReads(self.store)
        self.ports = Ports(
            unit_of_work=lambda: FakeUnitOfWork(self.store),
            reads=self.reads,
            hasher=self.hasher,
            tokens=self.tokens,
            refresh_tokens=self.refresh_tokens,
            refresh_policy=POLICY,
            key_maker=self.key_maker,
            common_passwords=self.common,
            breached_passwords=self.breached,
            one_time_tokens=self.one_time_tokens,
            device_tokens=self.device_tokens,
            login_keys=FakeLoginKeys(),
            mailer=self.mailer,
            audit_log=self.audit_log,
            old_rows=self.old_rows,
            rules=self.rules,
            origin=lambda: self.origin,
            device_name=lambda user_agent: user_agent or "unknown",
            now=self.clock,
            new_id=new_id,
            new_session_id=new_id_after,
        )

    @property
    def events(self) -> list[DomainEvent]:
        return self.store.events

    def only_account(self) -> Account:
        (account,) = self.store.accounts.values()
        return account

    def only_session(self) -> Session:
        (session,) = self.store.sessions.values()
        return session

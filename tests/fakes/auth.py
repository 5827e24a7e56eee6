"""auth_svc's ports in memory. They pass the same contract tests as the real adapters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from auth_svc.application.ports import AccessToken, Ports, SignAccessToken
from auth_svc.domain.account import Account, AccountNotFound, RequestKeyTaken
from auth_svc.domain.email import Email, EmailTaken
from auth_svc.domain.session import RefreshPolicy, Session
from auth_svc.domain.signing_key import SigningKey, SigningKeyExists
from lib.aggregate import DomainEvent
from lib.ids import new_id

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
POLICY = RefreshPolicy(lifetime=timedelta(days=30), idle=timedelta(days=7), grace=timedelta(seconds=10))


class FakeClock:
    """A clock that a test moves."""

    def __init__(self, now: datetime = START) -> None:
        self.moment = now

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **units: float) -> None:
        self.moment += timedelta(**units)


@dataclass
class FakeStore:
    """What was committed.

    :param meanwhile: called once each at the next commit, before it: what a parallel transaction does
    """

    accounts: dict[UUID, Account] = field(default_factory=dict)
    sessions: dict[UUID, Session] = field(default_factory=dict)
    signing_keys: dict[str, SigningKey] = field(default_factory=dict)
    events: list[DomainEvent] = field(default_factory=list)
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    open_transactions: int = 0


class FakeAccounts:
    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.touched: dict[UUID, Account] = {}

    def add(self, account: Account) -> None:
        self.touched[account.id] = account

    def get(self, account_id: UUID) -> Account:
        if account := self.find(account_id):
            return account
        raise AccountNotFound

    def find(self, account_id: UUID) -> Account | None:
        return self._one(lambda account: account.id == account_id)

    def find_by_email(self, email: Email) -> Account | None:
        return self._one(lambda account: account.email == email)

    def find_by_request_key(self, request_key: str) -> Account | None:
        return self._one(lambda account: account.request_key == request_key)

    def _one(self, wanted: Callable[[Account], bool]) -> Account | None:
        for account in self._store.accounts.values():
            if wanted(account):
                # A copy made by the constructor: what is not committed does not change what is stored.
                return self.touched.setdefault(account.id, replace(account))
        return None


class FakeSessions:
    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.touched: dict[UUID, Session] = {}

    def add(self, session: Session) -> None:
        self.touched[session.id] = session

    def find(self, session_id: UUID) -> Session | None:
        stored = self._store.sessions.get(session_id)
        return self.touched.setdefault(session_id, replace(stored)) if stored else None

    def live_of(self, account_id: UUID, now: datetime) -> Sequence[Session]:
        return [
            self.touched.setdefault(each.id, replace(each))
            for each in sorted(self._store.sessions.values(), key=lambda session: session.id)
            if each.account_id == account_id and each.revoked_at is None and each.expires_at > now
        ]


class FakeSigningKeys:
    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.added: list[SigningKey] = []

    def add(self, key: SigningKey) -> None:
        self.added.append(key)

    def published(self) -> Sequence[SigningKey]:
        return sorted(self._store.signing_keys.values(), key=lambda key: (key.created_at, key.kid))


class FakeUnitOfWork:
    """One transaction on a `FakeStore`."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store

    def __enter__(self) -> Self:
        self._store.open_transactions += 1
        self.accounts = FakeAccounts(self._store)
        self.sessions = FakeSessions(self._store)
        self.signing_keys = FakeSigningKeys(self._store)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.open_transactions -= 1

    def commit(self) -> None:
        self._let_others_go_first()
        accounts = {**self._store.accounts, **self.accounts.touched}
        keys = {**self._store.signing_keys, **{each.kid: each for each in self.signing_keys.added}}
        _unique([each.email.key for each in accounts.values()], EmailTaken)
        _unique([each.request_key for each in accounts.values() if each.request_key], RequestKeyTaken)
        _unique([each.state for each in keys.values() if each.state == "active"], SigningKeyExists)
        for aggregate in (*self.accounts.touched.values(), *self.sessions.touched.values()):
            self._store.events += [event for _, event in aggregate.pull_events()]
        self._store.accounts = {id: replace(each) for id, each in accounts.items()}
        self._store.sessions |= {id: replace(each) for id, each in self.sessions.touched.items()}
        self._store.signing_keys = keys

    def _let_others_go_first(self) -> None:
        # They are other processes: what is open here is not open there.
        mine, self._store.open_transactions = self._store.open_transactions, 0
        try:
            while self._store.meanwhile:
                self._store.meanwhile.pop()()
        finally:
            self._store.open_transactions = mine


def _unique(values: list[str], error: type[Exception]) -> None:
    if len(values) != len(set(values)):
        raise error


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

    def signer(self) -> SignAccessToken:
        assert not self._store.open_transactions, "reading the keys inside a transaction"
        if self.broken:
            raise CannotSignError

        def sign(account: Account, session: Session, now: datetime) -> AccessToken:
            return AccessToken(f"access/{account.id}/{session.id}/{now.isoformat()}", 900)

        return sign

    def jwks(self) -> dict[str, Any]:
        return {"keys": []}


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

    def __post_init__(self) -> None:
        self.hasher = FakeHasher(self.store)
        self.tokens = FakeTokens(self.store)
        self.ports = Ports(
            unit_of_work=lambda: FakeUnitOfWork(self.store),
            hasher=self.hasher,
            tokens=self.tokens,
            refresh_tokens=self.refresh_tokens,
            refresh_policy=POLICY,
            key_maker=self.key_maker,
            common_passwords=self.common,
            now=self.clock,
            new_id=new_id,
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

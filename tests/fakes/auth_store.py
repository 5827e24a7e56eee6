"""auth_svc's tables in memory, with transactions. They pass the same contract tests as the real adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from auth_svc.application.ports import Origin
from auth_svc.application.repositories import BegunLogin, MailBasis, SealedBatch, SealedEntry
from auth_svc.domain.account import Account, AccountNotFound, RequestKeyTaken
from auth_svc.domain.device import Device
from auth_svc.domain.email import Email, EmailTaken
from auth_svc.domain.email_change import EmailChange
from auth_svc.domain.mail import MailRequest
from auth_svc.domain.oauth_client import OAuthClient
from auth_svc.domain.one_time_token import OneTimeToken
from auth_svc.domain.session import Session
from auth_svc.domain.signing_key import SigningKey, SigningKeyExists
from lib.aggregate import Aggregate, DomainEvent
from lib.errors import Overtaken, SeenBefore
from lib.ids import new_id, utc_now

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


class FakeClock:
    """A clock that a test moves."""

    def __init__(self, now: datetime = START) -> None:
        self.moment = now

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **units: float) -> None:
        self.moment += timedelta(**units)


@dataclass(frozen=True)
class FakeAuditEntry:
    kind: str
    account_id: UUID | None
    outcome: str
    session_id: UUID | None
    actor_id: UUID | None
    details: dict[str, Any]
    personal: dict[str, str]
    origin: Origin = field(compare=False, default=Origin("anonymous", "request-1"))
    id: UUID = field(compare=False, default_factory=new_id)
    occurred_at: datetime = field(compare=False, default_factory=utc_now)


@dataclass
class FakeStore:
    """What was committed.

    :param sealed: how many entries of the audit trail are
    :param forgotten: whose personal data cannot be read any more
    :param meanwhile: called once each at the next commit, before it: what a parallel transaction does
    """

    accounts: dict[UUID, Account] = field(default_factory=dict)
    sessions: dict[UUID, Session] = field(default_factory=dict)
    signing_keys: dict[str, SigningKey] = field(default_factory=dict)
    one_time_tokens: dict[tuple[UUID, str], OneTimeToken] = field(default_factory=dict)
    email_changes: dict[UUID, EmailChange] = field(default_factory=dict)
    oauth_clients: dict[str, OAuthClient] = field(default_factory=dict)
    mail_counts: dict[tuple[UUID, str], tuple[datetime, int]] = field(default_factory=dict)
    login_attempts: dict[bytes, tuple[datetime, int]] = field(default_factory=dict)
    unknown_logins: list[tuple[bytes, datetime]] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)
    audit: list[FakeAuditEntry] = field(default_factory=list)
    sealed: int = 0
    forgotten: set[UUID] = field(default_factory=set)
    origin: Callable[[], Origin] = lambda: Origin("anonymous", "request-1")
    events: list[DomainEvent] = field(default_factory=list)
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    open_transactions: int = 0


class _Collection:
    """Copies of what is stored: what is not committed does not change it."""

    def __init__(self, stored: Mapping[Any, Any], key: Callable[[Any], Any]) -> None:
        self._stored = stored
        self._key = key
        self._loaded: dict[Any, dict[str, Any]] = {}
        self.touched: dict[Any, Any] = {}
        self.removed: set[Any] = set()

    def add(self, entity: Any) -> None:
        self.touched[self._key(entity)] = entity
        self._loaded.pop(self._key(entity), None)

    def remove(self, entity: Any) -> None:
        self.removed.add(self._key(entity))

    def all(self) -> list[Any]:
        return self.some(lambda _: True)

    def some(self, wanted: Callable[[Any], bool]) -> list[Any]:
        for key, entity in self._stored.items():
            if key not in self.touched and wanted(entity):
                self.touched[key] = replace(entity)
                self._loaded[key] = dict(vars(self.touched[key]))
        return [each for key, each in self.touched.items() if key not in self.removed and wanted(each)]

    def one(self, wanted: Callable[[Any], bool]) -> Any:
        return next(iter(self.some(wanted)), None)

    def find(self, key: Any) -> Any:
        return self.one(lambda entity: self._key(entity) == key)

    def result(self, current: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return what is stored afterwards: by now, with the changes of this transaction."""
        changed = {key: each for key, each in self.touched.items() if self._loaded.get(key) != vars(each)}
        return {key: replace(each) for key, each in {**current, **changed}.items() if key not in self.removed}


class FakeAccounts(_Collection):
    store: FakeStore

    def __init__(self, stored: Mapping[Any, Any], key: Callable[[Any], Any]) -> None:
        super().__init__(stored, key)
        self.read_as: dict[UUID, int] = {}

    def update(self, account: Account) -> None:
        self.add(account)
        self.read_as[account.id] = account.sequence

    def get(self, account_id: UUID) -> Account:
        account: Account | None = self.one(lambda each: each.id == account_id)
        if account is None:
            raise AccountNotFound
        return account

    def find(self, account_id: UUID) -> Account | None:
        return self._read(lambda account: account.id == account_id)

    def find_for_mail(
        self, account_id: UUID, *, kind: str, slot: str | None, since: datetime, unless_seen: tuple[str, str]
    ) -> MailBasis | None:
        account = self.find(account_id)
        if account is None or unless_seen in self.store.seen:
            return None
        token = self.store.one_time_tokens.get((account_id, slot)) if slot else None
        started, mails = self.store.mail_counts.get((account_id, kind), (since, 0))
        return MailBasis(account, None if token is None else replace(token), mails if started > since else 0)

    def add_if_free(self, account: Account) -> None:
        self.add(account)

    def hold(self, account: Account) -> None:
        self.read_as[account.id] = account.sequence

    def find_by_email(self, email: Email) -> Account | None:
        return self._read(lambda account: account.email == email)

    def _read(self, wanted: Callable[[Account], bool]) -> Account | None:
        """Return a copy: what is read without a lock is saved by `update` alone."""
        return next((replace(each) for each in self._stored.values() if wanted(each)), None)

    def find_id_by_email(self, email: Email) -> UUID | None:
        found = self.find_by_email(email)
        return None if found is None else found.id

    def find_by_request_key(self, request_key: str) -> Account | None:
        return self._read(lambda account: account.request_key == request_key)

    def administrators(self, *, beside: UUID) -> Sequence[Account]:
        found = self.some(lambda each: "admin" in each.roles and each.status == "active")
        return sorted(found, key=lambda account: account.id)

    def invited_before(self, moment: datetime, at_most: int) -> Sequence[Account]:
        found = self.some(lambda each: each.status == "invited" and each.created_at < moment)
        return sorted(found, key=lambda account: account.created_at)[:at_most]


class FakeSessions(_Collection):
    def live_of(self, account_id: UUID, now: datetime) -> Sequence[Session]:
        live = self.some(
            lambda each: each.account_id == account_id and each.revoked_at is None and each.expires_at > now
        )
        return sorted(live, key=lambda session: session.id)

    def end_all(self, account_id: UUID, reason: str, now: datetime) -> UUID | None:
        live = self.some(lambda each: each.account_id == account_id and each.revoked_at is None)
        for session in live:
            session.revoked_at, session.revoked_reason = now, reason
        return max((each.id for each in live), default=None)


class FakeSigningKeys(_Collection):
    def published(self) -> Sequence[SigningKey]:
        return sorted(self.all(), key=lambda key: (key.created_at, key.kid))

    locked = published


class FakeOneTimeTokens(_Collection):
    def __init__(self, stored: Mapping[Any, Any], key: Callable[[Any], Any]) -> None:
        super().__init__(stored, key)
        self.read_as: dict[tuple[UUID, str], UUID | None] = {}

    def put(self, token: OneTimeToken) -> None:
        self.add(token)

    def replace(self, standing: OneTimeToken | None, token: OneTimeToken) -> None:
        self.add(token)
        self.read_as[token.account_id, token.slot] = None if standing is None else standing.minted_by

    def find(self, account_id: UUID, slot: str) -> OneTimeToken | None:  # type: ignore[override]
        return self.one(lambda token: (token.account_id, token.slot) == (account_id, slot))

    def find_by_hash(self, token_hash: bytes) -> OneTimeToken | None:
        return self.one(lambda token: token.token_hash == token_hash)

    def use_up(self, account_id: UUID, now: datetime, *, except_for: Sequence[str] = ()) -> None:
        for token in self.some(lambda each: each.account_id == account_id and each.purpose not in except_for):
            token.used_at = token.used_at or now


class FakeEmailChanges(_Collection):
    def open_of(self, account_id: UUID) -> Sequence[EmailChange]:
        found = self.some(lambda each: each.account_id == account_id and each.ended_at is None)
        return sorted(found, key=lambda change: (change.requested_at, change.id))


class FakeOAuthClients(_Collection):
    def all(self) -> list[OAuthClient]:
        return sorted(super().all(), key=lambda client: (client.created_at, client.id))


def _counted(counts: dict[Any, tuple[datetime, int]], key: Any, now: datetime, window: timedelta) -> int:
    started, count = counts.get(key, (now, 0))
    counts[key] = (now, 1) if started <= now - window else (started, count + 1)
    return counts[key][1]


class FakeMailCounts:
    def __init__(self, store: FakeStore) -> None:
        self.counts = dict(store.mail_counts)

    def so_far(self, account_id: UUID, kind: str, now: datetime, window: timedelta) -> int:
        started, count = self.counts.get((account_id, kind), (now, 0))
        return count if started > now - window else 0

    def count(self, account_id: UUID, kind: str, now: datetime, window: timedelta) -> None:
        _counted(self.counts, (account_id, kind), now, window)


class FakeLoginAttempts:
    def __init__(self, store: FakeStore, accounts: FakeAccounts) -> None:
        self._accounts = accounts
        self._saved = store.login_attempts
        self.counts = dict(store.login_attempts)
        self.unknown = list(store.unknown_logins)

    def begin(
        self,
        email: Email | None,
        *,
        address_key: bytes,
        device: Device | None,
        device_key: bytes | None,
        known_device_only: bool,
        now: datetime,
        window: timedelta,
    ) -> BegunLogin:
        account = self._accounts.find_by_email(email) if email else None
        if account is not None and device is not None and device.is_known_to(account):
            assert device_key is not None
            return BegunLogin(account, self.count(device_key, now, window))
        return BegunLogin(account, None if known_device_only else self.count(address_key, now, window))

    def count(self, key: bytes, now: datetime, window: timedelta) -> int:
        _counted(self._saved, key, now, window)
        return _counted(self.counts, key, now, window)

    def take_back(self, key: bytes) -> None:
        if key in self.counts:
            started, attempts = self.counts[key]
            self.counts[key] = (started, max(0, attempts - 1))

    def clear(self, key: bytes) -> None:
        self.counts.pop(key, None)

    def note_unknown(self, key: bytes, now: datetime) -> None:
        self.unknown.append((key, now))


class FakeAuditTrail:
    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.added: list[FakeAuditEntry] = []
        self.sealed = store.sealed
        self.forgotten: set[UUID] = set()

    def add(
        self,
        kind: str,
        *,
        account_id: UUID | None,
        outcome: str = "success",
        session_id: UUID | None = None,
        actor_id: UUID | None = None,
        details: Mapping[str, Any] | None = None,
        personal: Mapping[str, str] | None = None,
    ) -> None:
        self.added.append(
            FakeAuditEntry(
                kind,
                account_id,
                outcome,
                session_id,
                actor_id,
                dict(details or {}),
                dict(personal or {}),
                self._store.origin(),
            )
        )

    def seal(self, at_most: int) -> SealedBatch | None:
        batch = self._store.audit[self.sealed : self.sealed + at_most]
        if not batch:
            return None
        self.sealed += len(batch)
        entries = [SealedEntry(each.kind, each.account_id, each.details) for each in batch]
        return SealedBatch(f"{self.sealed}:{self.sealed:064x}", entries)

    def forget(self, subject: UUID) -> None:
        self.forgotten.add(subject)


class FakeUnitOfWork:
    """One transaction on a `FakeStore`."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store

    def __enter__(self) -> Self:
        store = self._store
        store.open_transactions += 1
        self.accounts = FakeAccounts(store.accounts, lambda account: account.id)
        self.accounts.store = store
        self.sessions = FakeSessions(store.sessions, lambda session: session.id)
        self.signing_keys = FakeSigningKeys(store.signing_keys, lambda key: key.kid)
        self.one_time_tokens = FakeOneTimeTokens(store.one_time_tokens, lambda token: (token.account_id, token.slot))
        self.email_changes = FakeEmailChanges(store.email_changes, lambda change: change.id)
        self.oauth_clients = FakeOAuthClients(store.oauth_clients, lambda client: client.id)
        self.mail_counts = FakeMailCounts(store)
        self.login_attempts = FakeLoginAttempts(store, self.accounts)
        self.audit = FakeAuditTrail(store)
        self._noted: set[tuple[str, str]] = set()
        self._announced: list[MailRequest] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.open_transactions -= 1

    def announce(self, request: MailRequest) -> None:
        self._announced.append(request)

    def seen(self, handler: str, event_id: str) -> bool:
        return (handler, event_id) in self._store.seen

    def note(self, handler: str, event_id: str) -> None:
        self._noted.add((handler, event_id))

    def commit(self) -> None:
        self._let_others_go_first()
        store = self._store
        if self._noted & store.seen:
            raise SeenBefore
        for account_id, sequence in self.accounts.read_as.items():
            if account_id not in store.accounts or store.accounts[account_id].sequence != sequence:
                raise Overtaken
        for slot, minted_by in self.one_time_tokens.read_as.items():
            standing = store.one_time_tokens.get(slot)
            if (standing and standing.minted_by) != minted_by:
                raise Overtaken
        accounts, keys = self.accounts.result(store.accounts), self.signing_keys.result(store.signing_keys)
        _unique((each.email.key for each in accounts.values()), EmailTaken)
        _unique((each.request_key for each in accounts.values() if each.request_key), RequestKeyTaken)
        for state in ("active", "next"):
            _unique((each.state for each in keys.values() if each.state == state), SigningKeyExists)
        changed: list[Aggregate] = [*self.accounts.touched.values(), *self.sessions.touched.values(), *self._announced]
        for aggregate in changed:
            store.events += [event for _, event in aggregate.pull_events()]
        store.accounts, store.signing_keys = accounts, keys
        store.sessions = self.sessions.result(store.sessions)
        store.one_time_tokens = self.one_time_tokens.result(store.one_time_tokens)
        store.email_changes = self.email_changes.result(store.email_changes)
        store.oauth_clients = self.oauth_clients.result(store.oauth_clients)
        store.mail_counts, store.login_attempts = self.mail_counts.counts, self.login_attempts.counts
        store.unknown_logins = self.login_attempts.unknown
        store.seen |= self._noted
        store.audit += self.audit.added
        store.sealed = self.audit.sealed
        store.forgotten |= self.audit.forgotten
        self.audit.added = []

    def _let_others_go_first(self) -> None:
        # They are other processes: what is open here is not open there.
        mine, self._store.open_transactions = self._store.open_transactions, 0
        try:
            while self._store.meanwhile:
                self._store.meanwhile.pop()()
        finally:
            self._store.open_transactions = mine


def _unique(values: Iterable[str], error: type[Exception]) -> None:
    listed = list(values)
    if len(listed) != len(set(listed)):
        raise error

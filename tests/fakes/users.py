"""users_svc without a database and without auth_svc.

`FakeUnitOfWork` passes the same contract tests as the one on PostgreSQL
(tests/integration/users/test_users_unit_of_work.py).
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from lib.aggregate import Aggregate, DomainEvent
from lib.errors import Overtaken, SeenBefore
from lib.ids import new_id
from users_svc.application.ports import Ports
from users_svc.domain.account_state import AccountState
from users_svc.domain.connection import PendingRequests
from users_svc.domain.handle import HandleTaken
from users_svc.domain.identity import EmailTaken, Identity, RequestKeyReused
from users_svc.domain.notification_rules import NotificationRules
from users_svc.domain.profile import Profile, UserNotFound
from users_svc.domain.statistics import DayStatistics

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class FakeAccountStates:
    """:ivar clashed: something was added that was not new"""

    def __init__(self) -> None:
        self.rows: dict[UUID, AccountState] = {}
        self.tombstones: dict[UUID, datetime] = {}
        self.clashed = False

    def add(self, account: AccountState) -> None:
        self.clashed |= account.id in self.rows or account.id in self.tombstones
        self.rows.setdefault(account.id, account)

    def add_or_get(self, account: AccountState) -> AccountState | None:
        if account.id in self.tombstones:
            return None
        return self.rows.setdefault(account.id, account)

    def bury(self, account: AccountState, now: datetime) -> None:
        del self.rows[account.id]
        self.tombstones[account.id] = now


class FakeProfiles:
    """:ivar clashed: something was added that was not new"""

    def __init__(self) -> None:
        self.rows: dict[UUID, Profile] = {}
        self.clashed = False

    def add(self, profile: Profile) -> None:
        self.clashed |= profile.id in self.rows
        self.rows.setdefault(profile.id, profile)

    def add_or_get(self, profile: Profile) -> Profile:
        return self.rows.setdefault(profile.id, profile)

    def get(self, user_id: UUID) -> Profile | None:
        return self.rows.get(user_id)

    def remove(self, user_id: UUID) -> None:
        self.rows.pop(user_id, None)


class FakeHandles:
    def __init__(self, profiles: FakeProfiles) -> None:
        self.profiles = profiles
        self.retired: dict[str, tuple[UUID, datetime]] = {}

    def holder(self, key: str, *, retired_after: datetime) -> UUID | None:
        for profile in self.profiles.rows.values():
            if profile.handle_key == key:
                return profile.id
        user_id, retired_at = self.retired.get(key, (None, retired_after))
        return user_id if retired_at > retired_after else None

    def move(self, user_id: UUID, *, given_up: str | None, taken: str | None, now: datetime) -> None:
        if given_up is not None:
            self.retired = {key: each for key, each in self.retired.items() if each[0] != user_id}
            self.retired[given_up] = (user_id, now)
        if taken is not None:
            self.retired.pop(taken, None)


class FakeProfileReader:
    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    def find(self, user_id: UUID) -> dict[str, Any] | None:
        profile = self._database.committed.profiles.rows.get(user_id)
        return None if profile is None else profile.fields()


class FakePeople:
    """People whom nobody follows or blocks."""

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    def view(self, user_id: UUID, viewer_id: UUID | None) -> dict[str, Any] | None:
        profile = self._database.committed.profiles.rows.get(user_id)
        if profile is None:
            return None
        nothing = ("following", "followed_by", "requested", "requested_by", "blocking", "muting")
        return {**profile.fields(), "followers_count": 0, "following_count": 0, **dict.fromkeys(nothing, False)}


class Elsewhere:
    """A port whose use cases are tested on PostgreSQL: nothing here asks it."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name}: tested on PostgreSQL")


class FakeConnections:
    """Nobody follows anybody; the edges are tested on PostgreSQL."""

    def leave(self, user_id: UUID, most: int) -> bool:
        return True

    def pending(self, user_id: UUID, most: int) -> PendingRequests:
        return PendingRequests(user_id, [])


class FakeStatistics:
    def __init__(self) -> None:
        self.rows: dict[date, int] = {}

    def add_registration(self, day: date) -> None:
        self.rows[day] = self.rows.get(day, 0) + 1

    def of(self, day: date) -> DayStatistics:
        return DayStatistics(day, self.rows.get(day, 0))


@dataclass
class FakeState:
    accounts: FakeAccountStates = field(default_factory=FakeAccountStates)
    profiles: FakeProfiles = field(default_factory=FakeProfiles)
    statistics: FakeStatistics = field(default_factory=FakeStatistics)
    inbox: set[tuple[str, str]] = field(default_factory=set)
    told: list[DomainEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.handles = FakeHandles(self.profiles)


class FakeDatabase:
    """What is committed. One transaction at a time, which is stricter than PostgreSQL's row locks."""

    def __init__(self) -> None:
        self.committed = FakeState()
        self.lock = threading.Lock()

    @property
    def in_transaction(self) -> bool:
        return self.lock.locked()


class FakeUnitOfWork:
    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    def __enter__(self) -> Self:
        if not self._database.lock.acquire(timeout=10):
            raise TimeoutError("a transaction was opened inside another one")
        self._state = copy.deepcopy(self._database.committed)
        self._noted: set[tuple[str, str]] = set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.lock.release()

    @property
    def accounts(self) -> FakeAccountStates:
        return self._state.accounts

    @property
    def profiles(self) -> FakeProfiles:
        return self._state.profiles

    @property
    def connections(self) -> FakeConnections:
        return FakeConnections()

    @property
    def statistics(self) -> FakeStatistics:
        return self._state.statistics

    @property
    def handles(self) -> FakeHandles:
        return self._state.handles

    def announce(self, aggregate: Aggregate) -> None:
        self._state.told += [event for _, event in aggregate.pull_events()]

    def note(self, handler: str, event_id: str) -> None:
        self._noted.add((handler, event_id))

    def first_time(self, handler: str, event_id: str) -> bool:
        entry = (handler, event_id)
        first = entry not in self._state.inbox
        self._state.inbox.add(entry)
        return first

    def commit(self) -> None:
        if self._noted & self._state.inbox:
            raise SeenBefore
        if self.accounts.clashed or self.profiles.clashed:
            raise Overtaken
        self._state.inbox |= self._noted
        self._count_versions()
        keys = [each.handle_key for each in self.profiles.rows.values() if each.handle_key is not None]
        if len(set(keys)) < len(keys):
            raise HandleTaken
        self._database.committed = copy.deepcopy(self._state)

    def _count_versions(self) -> None:
        before = self._database.committed.profiles.rows
        for profile in self.profiles.rows.values():
            if profile.id in before and profile.fields() != before[profile.id].fields():
                profile.version += 1


class FakeIdentities:
    """The accounts, in memory; refuses to be asked inside a transaction.

    With `private` it makes accounts, but tells nobody what it did with an address.
    """

    private = False

    def __init__(self, database: FakeDatabase | None = None) -> None:
        self._database = database
        self._by_key: dict[str, Identity] = {}
        self._by_id: dict[UUID, Identity] = {}
        self._lock = threading.Lock()

    def add(self, account: Identity) -> None:
        self._by_id[account.id] = account

    def find(self, email: str) -> Identity | None:
        return next((each for each in self._by_id.values() if each.email.casefold() == email.casefold()), None)

    def reserve_account(self, *, email: str, name: str, request_key: str) -> Identity | None:
        self._check_outside_transaction()
        with self._lock:
            if request_key not in self._by_key:
                if self.find(email):
                    if self.private:
                        return None
                    raise EmailTaken("an account with this e-mail already exists")
                self._by_key[request_key] = Identity(new_id(), email, name)
                self.add(self._by_key[request_key])
            if self._by_key[request_key].email.casefold() != email.casefold():
                raise RequestKeyReused("this key was used before")
            return None if self.private else self._by_key[request_key]

    def get_account(self, user_id: UUID) -> Identity:
        self._check_outside_transaction()
        try:
            return self._by_id[user_id]
        except KeyError:
            raise UserNotFound("there is no such account") from None

    def _check_outside_transaction(self) -> None:
        if self._database is not None and self._database.in_transaction:
            raise AssertionError("auth_svc was called inside a transaction")


@dataclass
class FakeWorld:
    """Everything behind a `Ports` of fakes, for a test to look at."""

    database: FakeDatabase = field(default_factory=FakeDatabase)
    time: datetime = NOON

    def __post_init__(self) -> None:
        self.identities = FakeIdentities(self.database)

    def ports(
        self, *, open_invitations: bool = True, unit_of_work: Callable[[], FakeUnitOfWork] | None = None
    ) -> Ports:
        return Ports(
            unit_of_work=unit_of_work or partial(FakeUnitOfWork, self.database),
            profiles=FakeProfileReader(self.database),
            people=FakePeople(self.database),
            connections=Elsewhere(),
            preferences=Elsewhere(),
            unsubscribe_tokens=Elsewhere(),
            notifications=Elsewhere(),
            notification_rules=NotificationRules(),
            mailer=Elsewhere(),
            mail_tally=Elsewhere(),
            search=Elsewhere(),
            search_indexes=Elsewhere(),
            identities=self.identities,
            now=lambda: self.time,
            new_id=new_id,
            open_invitations=open_invitations,
        )

    @property
    def profiles(self) -> dict[UUID, Profile]:
        return self.database.committed.profiles.rows

    @property
    def accounts(self) -> dict[UUID, AccountState]:
        return self.database.committed.accounts.rows

    @property
    def tombstones(self) -> dict[UUID, datetime]:
        return self.database.committed.accounts.tombstones

    @property
    def registrations(self) -> dict[date, int]:
        return self.database.committed.statistics.rows

"""What the use cases need from the world, in their own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from lib.aggregate import Aggregate
from users_svc.application.connection_ports import ConnectionReader, Connections
from users_svc.application.handle_ports import Handles
from users_svc.application.notification_ports import Mailer, MailTally, NotificationReader, Notifications
from users_svc.application.preference_ports import PreferenceReader, Preferences, UnsubscribeTokens
from users_svc.application.search_ports import Search, SearchIndexes
from users_svc.domain.account_state import AccountState
from users_svc.domain.identity import Identity
from users_svc.domain.notification_rules import NotificationRules
from users_svc.domain.profile import Profile
from users_svc.domain.statistics import DayStatistics


class AccountStates(Protocol):
    """What is known of each account. Whoever writes about an account gets its state first, so they write in turn."""

    def add(self, account: AccountState) -> None:
        """Store the state of an account that nobody has heard of, on commit; nothing waits before.

        `commit` raises `Overtaken`, and saves nothing, if the id has a state already or the account was deleted.
        """

    def add_or_get(self, account: AccountState) -> AccountState | None:
        """Store `account` unless its id has a state already; return the stored one, locked until the transaction ends.

        None if the account was deleted: nothing is stored under its id any more. A concurrent transaction with the
        same id waits here, that of a deletion too. Change the returned state, never the argument: the two may differ.
        """

    def bury(self, account: AccountState, now: datetime) -> None:
        """Remove the state of a deleted account and leave a tombstone: its id, and when it came to be known."""


class Profiles(Protocol):
    """All profiles, by the id of their account. To add, change or remove one because of its account, get the account's
    state first."""

    def add(self, profile: Profile) -> None:
        """Store the profile of an account whose state is added before it, on commit.

        `commit` raises `Overtaken`, and saves nothing, if the id has a profile already.
        """

    def add_or_get(self, profile: Profile) -> Profile:
        """Store `profile` unless its id has one already; return the stored one, locked until the transaction ends.

        A concurrent transaction with the same id waits here, so exactly one of them adds. Change the returned
        profile, never the argument: the two may differ.
        """

    def get(self, user_id: UUID) -> Profile | None:
        """Return the profile, if there is one, locked until the transaction ends; others may go on referring to it."""

    def remove(self, user_id: UUID) -> None:
        """Remove the profile, if there is one."""


class ProfileReader(Protocol):
    """Profiles to look at, outside of any transaction."""

    def find(self, user_id: UUID) -> Mapping[str, Any] | None:
        """Return the fields of the profile as it was last committed; None if there is none."""


class People(Protocol):
    """Profiles as others get to see them."""

    def view(self, user_id: UUID, viewer_id: UUID | None) -> Mapping[str, Any] | None:
        """Return the fields of a profile with ``followers_count``, ``following_count`` and the fields of
        `Relationship` but the id, all false for an anonymous viewer.

        None if there is none, or its owner blocks the viewer: the same query, as long.
        """


class Statistics(Protocol):
    """Daily counts."""

    def add_registration(self, day: date) -> None:
        """Count one more account on `day`; concurrent calls all count."""

    def of(self, day: date) -> DayStatistics:
        """Return the counts of `day`; zero for a day on which nothing happened."""


class UnitOfWork(Protocol):
    """One transaction; leaving it without `commit` undoes everything."""

    @property
    def accounts(self) -> AccountStates: ...

    @property
    def profiles(self) -> Profiles: ...

    @property
    def statistics(self) -> Statistics: ...

    @property
    def handles(self) -> Handles: ...

    @property
    def connections(self) -> Connections: ...

    @property
    def preferences(self) -> Preferences: ...

    @property
    def notifications(self) -> Notifications: ...

    def announce(self, aggregate: Aggregate) -> None:
        """Send the aggregate's events on commit; it is not kept."""

    def first_time(self, handler: str, event_id: str) -> bool:
        """Note that `handler` has seen the event, in this transaction; False if it had before."""

    def note(self, handler: str, event_id: str) -> None:
        """Note on commit that `handler` has seen the event; `commit` raises `SeenBefore` if it had before."""

    def commit(self) -> None: ...


class Identities(Protocol):
    """The accounts, which another service keeps. Every call goes over the network: never inside a transaction."""

    def reserve_account(self, *, email: str, name: str, request_key: str) -> Identity | None:
        """Make an invited account, or return the one that the same `request_key` made before.

        None where nobody is told who has an account: there may be one now, and then its event comes.

        Raises `EmailTaken`, `InvalidEmail`, `InvalidName`, `InvalidRequestKey`; `RequestKeyReused` for a key that
        was used with another address; `RequestInProgress`.
        """

    def get_account(self, user_id: UUID) -> Identity:
        """Return the account; raises `UserNotFound` if there is none."""


@dataclass(frozen=True)
class Ports:
    """Everything that a use case may reach.

    :param open_invitations: everybody may add users, not only administrators
    """

    unit_of_work: Callable[[], AbstractContextManager[UnitOfWork]]
    profiles: ProfileReader
    people: People
    connections: ConnectionReader
    preferences: PreferenceReader
    unsubscribe_tokens: UnsubscribeTokens
    notifications: NotificationReader
    notification_rules: NotificationRules
    mailer: Mailer
    mail_tally: MailTally
    search: Search
    search_indexes: SearchIndexes
    identities: Identities
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    open_invitations: bool

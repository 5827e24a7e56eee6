"""What the use cases keep and find, as collections; and the transaction that holds them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID

from auth_svc.domain.account import Account
from auth_svc.domain.device import Device
from auth_svc.domain.email import Email
from auth_svc.domain.email_change import EmailChange
from auth_svc.domain.mail import MailKind, MailRequest
from auth_svc.domain.oauth_client import OAuthClient
from auth_svc.domain.one_time_token import OneTimeToken
from auth_svc.domain.session import Session
from auth_svc.domain.signing_key import SigningKey

Outcome = Literal["success", "failure"]


@dataclass(frozen=True)
class MailBasis:
    """What the next mail to an account depends on, as it was at one moment.

    :param token: what stands in the slot of the mail's token
    :param mails: how many of its kind there were lately
    """

    account: Account
    token: OneTimeToken | None
    mails: int


class Accounts(Protocol):
    def add(self, account: Account) -> None: ...

    def add_if_free(self, account: Account) -> None:
        """Add the account if nobody has its address; `commit` raises `EmailTaken` otherwise.

        Looked at on commit, in the same round trip. Not together with what raises `Overtaken`.
        """

    def get(self, account_id: UUID) -> Account:
        """Return the account, locked until the transaction ends; raises `AccountNotFound`."""

    def update(self, account: Account) -> None:
        """Save an account that an earlier transaction has read without a lock, if it is still as it was then.

        `commit` raises `Overtaken` otherwise.
        """

    def find(self, account_id: UUID) -> Account | None:
        """Return the account to read, without a lock."""

    def find_for_mail(
        self, account_id: UUID, *, kind: MailKind, slot: str | None, since: datetime, unless_seen: tuple[str, str]
    ) -> MailBasis | None:
        """Return the account with what a mail of this kind depends on, without a lock.

        :param slot: where the token of such a mail stands; None if it has none
        :param since: when the window of the count begins
        :param unless_seen: a handler and an event; None is returned if the one has dealt with the other (`note`)
        """

    def hold(self, account: Account) -> None:
        """Have `commit` raise `Overtaken` unless the account, read without a lock, is still as it was then.

        Who is changing it at that moment is waited for.
        """

    def find_by_email(self, email: Email) -> Account | None:
        """Return the account to read, without a lock."""

    def find_id_by_email(self, email: Email) -> UUID | None:
        """Return the id alone: that takes as long for an address that nobody has here."""

    def find_by_request_key(self, request_key: str) -> Account | None:
        """Return the account that the request with this key made."""

    def administrators(self, *, beside: UUID) -> Sequence[Account]:
        """Return the active accounts with the role ``admin``; they are locked, and the account `beside` with them.

        All in the order of their ids: who locks one of them later may meet somebody who has it and waits for the rest.
        """

    def invited_before(self, moment: datetime, at_most: int) -> Sequence[Account]:
        """Return unclaimed invitations, locked; those that another transaction has locked are left out."""

    def remove(self, account: Account) -> None:
        """Delete the account and all that belongs to it, except the audit trail."""


class Sessions(Protocol):
    def add(self, session: Session) -> None: ...

    def find(self, session_id: UUID) -> Session | None:
        """Return the session, locked until the transaction ends."""

    def live_of(self, account_id: UUID, now: datetime) -> Sequence[Session]:
        """Return the account's sessions that have not ended, all locked, oldest first."""

    def end_all(self, account_id: UUID, reason: str, now: datetime) -> UUID | None:
        """End the account's sessions without an event for each; return the newest one's id.

        Lock the account first (`Accounts.get`), so that none is opened meanwhile, and load no session before.
        """


class SigningKeys(Protocol):
    def add(self, key: SigningKey) -> None: ...

    def published(self) -> Sequence[SigningKey]:
        """Return every key that some valid token may be signed with, or will be soon, oldest first."""

    def locked(self) -> Sequence[SigningKey]:
        """Return all keys, locked until the transaction ends, oldest first."""

    def remove(self, key: SigningKey) -> None: ...


class OneTimeTokens(Protocol):
    def put(self, token: OneTimeToken) -> None:
        """Keep the token, in the place of the one in its slot if there is one."""

    def replace(self, standing: OneTimeToken | None, token: OneTimeToken) -> None:
        """Keep the token in the place of the one that was read from its slot without a lock; None: of none.

        `commit` raises `Overtaken` if another one stands there by then.
        """

    def find(self, account_id: UUID, slot: str) -> OneTimeToken | None:
        """Return what stands in the slot, locked until the transaction ends."""

    def find_by_hash(self, token_hash: bytes) -> OneTimeToken | None:
        """Return the token to read, without a lock: lock its account, then `find` it."""

    def use_up(self, account_id: UUID, now: datetime, *, except_for: Sequence[str] = ()) -> None:
        """Make the account's tokens invalid, except for those with these purposes.

        Their rows stay: a mail that is sent again after a crash must not make its token work again.
        """


class EmailChanges(Protocol):
    def add(self, change: EmailChange) -> None: ...

    def find(self, change_id: UUID) -> EmailChange | None: ...

    def open_of(self, account_id: UUID) -> Sequence[EmailChange]:
        """Return the changes that can still be confirmed or undone, oldest first."""


class MailCounts(Protocol):
    def so_far(self, account_id: UUID, kind: MailKind, now: datetime, window: timedelta) -> int:
        """Return how many mails there were since the window began."""

    def count(self, account_id: UUID, kind: MailKind, now: datetime, window: timedelta) -> None:
        """Count one more mail."""


@dataclass(frozen=True)
class BegunLogin:
    """:param attempts: how many there were since the window began, with this one; None: it was not counted"""

    account: Account | None
    attempts: int | None


class LoginAttempts(Protocol):
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
        """Look for the account to read, and count one more attempt to sign in, both at once and saved as by `count`.

        :param email: None finds none
        :param address_key: to count under …
        :param device_key: … if this is not the device's key, and the account knows the device
        :param known_device_only: count only under the device's key
        """

    def count(self, key: bytes, now: datetime, window: timedelta) -> int:
        """Count one more attempt and return its number since the window began.

        Saved at once, before anything is locked: what was tried stays counted.
        """

    def take_back(self, key: bytes) -> None:
        """Count one attempt less: it was not looked at."""

    def clear(self, key: bytes) -> None:
        """Begin to count anew."""

    def note_unknown(self, key: bytes, now: datetime) -> None:
        """Keep that somebody tried an address that nobody has here."""


@dataclass(frozen=True)
class SealedEntry:
    """An entry of the audit trail that has just been sealed."""

    kind: str
    account_id: UUID | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class SealedBatch:
    """:param head: the last seal, written as ``42:9f86d0…``: position and hash"""

    head: str
    entries: Sequence[SealedEntry]


class AuditTrail(Protocol):
    def add(
        self,
        kind: str,
        *,
        account_id: UUID | None,
        outcome: Outcome = "success",
        session_id: UUID | None = None,
        actor_id: UUID | None = None,
        details: Mapping[str, Any] | None = None,
        personal: Mapping[str, str] | None = None,
    ) -> None:
        """Append an entry. Who acts, from where, and by which request is added from the running call.

        :param kind: what happened, like ``password.changed``
        :param account_id: whom it is about
        :param session_id: the session that it is about; the caller's own if it is not given
        :param actor_id: who acts, where that was shown otherwise than by an access token: by a password, by a mail
        :param details: primitives, no personal data, no secrets
        :param personal: personal data, kept encrypted with the subject's key
        """

    def seal(self, at_most: int) -> SealedBatch | None:
        """Add the oldest entries to the hash chain that shows later changes; each is given once, by one transaction.

        :returns: None if there are none, or another transaction is at it
        """

    def forget(self, subject: UUID) -> None:
        """Make the personal data in somebody's entries unreadable; the entries stay."""


class OAuthClients(Protocol):
    def add(self, client: OAuthClient) -> None: ...

    def find(self, client_id: str) -> OAuthClient | None: ...

    def all(self) -> Sequence[OAuthClient]:
        """Return all clients, revoked ones too, oldest first."""


class UnitOfWork(Protocol):
    """One transaction. Leaving it without `commit` undoes everything."""

    @property
    def accounts(self) -> Accounts: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def signing_keys(self) -> SigningKeys: ...

    @property
    def one_time_tokens(self) -> OneTimeTokens: ...

    @property
    def email_changes(self) -> EmailChanges: ...

    @property
    def mail_counts(self) -> MailCounts: ...

    @property
    def login_attempts(self) -> LoginAttempts: ...

    @property
    def audit(self) -> AuditTrail: ...

    @property
    def oauth_clients(self) -> OAuthClients: ...

    def announce(self, request: MailRequest) -> None:
        """Send the request's events on commit; it is not kept."""

    def note(self, handler: str, event_id: str) -> None:
        """Note on commit that the handler has dealt with the event; `commit` raises `SeenBefore` if it did before."""

    def seen(self, handler: str, event_id: str) -> bool:
        """Tell whether the handler has dealt with the event, and note nothing."""

    def commit(self) -> None:
        """Save the changes and their events together.

        :raises SeenBefore: the event of `note` was dealt with before
        :raises Overtaken: an account or a token that was read without a lock has changed since
        :raises EmailTaken: somebody has the address, since long ago or by a parallel transaction that was faster
        :raises RequestKeyTaken: … with the same request key
        :raises SigningKeyExists: … with the first signing key
        """


Transaction = AbstractContextManager[UnitOfWork]

"""What the use cases need from the world, in their words."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID

from auth_svc.application.repositories import Transaction, UnitOfWork
from auth_svc.domain.account import Account
from auth_svc.domain.device import Device
from auth_svc.domain.lockout import LockoutPolicy
from auth_svc.domain.mail import Mail
from auth_svc.domain.one_time_token import Purpose
from auth_svc.domain.session import RefreshPolicy, Session, TokenChain
from auth_svc.domain.signing_key import SigningKey

__all__ = ["AccessToken", "Ports", "UnitOfWork"]


@dataclass(frozen=True)
class Origin:
    """Where the running call comes from.

    :param actor_kind: ``system`` (operators, services, jobs), ``anonymous`` or ``account``
    :param actor_id: the account, as its access token proves
    :param session_id: … and its session
    """

    actor_kind: str
    request_id: str
    actor_id: UUID | None = None
    session_id: UUID | None = None
    ip: str | None = None
    user_agent: str | None = None


class PasswordHasher(Protocol):
    """Slow on purpose: never call it inside a transaction."""

    def hash(self, password: str) -> str: ...

    def verify(self, password_hash: str | None, password: str) -> bool:
        """True if the hash is the password's.

        Without a hash the answer is False after the same work, so that time does not tell who has an account.
        """

    def is_outdated(self, password_hash: str) -> bool:
        """True if the hash was made with other parameters than new ones are."""


@dataclass(frozen=True)
class AccessToken:
    """A signed statement of who somebody is.

    :param expires_in: seconds
    """

    value: str = field(repr=False)
    expires_in: int


class SignAccessToken(Protocol):
    def __call__(self, account: Account, session: Session, now: datetime) -> AccessToken: ...


class Tokens(Protocol):
    """Access tokens and the public keys to check them with."""

    def signer(self) -> SignAccessToken:
        """Return what signs with the active key.

        It may read the database, so take it before a transaction begins: a service that cannot sign must not
        register or sign in anybody.
        """

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JSON Web Key Set (RFC 7517)."""

    def claims(self, token: str) -> Mapping[str, Any] | None:
        """Return what a valid access token of ours says; None for any other text."""

    def forget_keys(self) -> None:
        """Read the keys anew the next time: they have changed."""


class RefreshTokens(TokenChain, Protocol):
    """Refresh tokens: opaque to clients, unguessable, each naming its session."""

    def issue(self, session_id: UUID) -> str:
        """Return the first token of a new session."""

    def session_of(self, token: object) -> UUID | None:
        """Return which session the token says that it belongs to; None if it is no such token at all."""


class KeyMaker(Protocol):
    def make(self, now: datetime) -> SigningKey:
        """Return a new active key pair, its private half sealed."""

    def reseal(self, sealed_private: bytes) -> bytes:
        """Return a private half sealed anew, with the newest key; raises `SealedKeyError` if no key opens it."""


class BreachedPasswords(Protocol):
    def contains(self, password: str) -> bool:
        """True if the password is known to have leaked; False also if that cannot be found out now."""


class OneTimeTokenMint(Protocol):
    """Tokens and codes for mails, made from the server's key."""

    def token(self, event_id: str, account_id: UUID, purpose: Purpose) -> str:
        """Return the token for the mail that this event asked for: the same one every time."""

    def code(self, event_id: str, account_id: UUID, purpose: Purpose) -> str:
        """Return the short code that stands in the same mail."""

    def token_hash(self, token: object) -> bytes:
        """Return what is stored of a token."""

    def code_hash(self, account_id: UUID, purpose: Purpose, code: object) -> bytes:
        """Return what is stored of a code: a keyed hash, as there are few codes to try."""


class DeviceTokens(Protocol):
    """What a client keeps to be known again. It proves no identity; it only keeps strangers from locking one out."""

    def issue(self, account: Account) -> str:
        """Return a token for a device that the account's owner has just signed in with."""

    def open(self, token: object) -> Device | None:
        """Return what the token says; None if it is none of ours."""


class LoginKeys(Protocol):
    """Under what attempts to sign in are counted: keyed hashes, so that no address stands in the database."""

    def of_address(self, email_key: str) -> bytes: ...

    def of_device(self, device_id: UUID) -> bytes: ...


class Mailer(Protocol):
    def send(self, mail: Mail) -> None:
        """Hand the mail over.

        :raises MailUnavailable: not now; a later try may succeed
        :raises MailRefused: never
        """


class Reads(Protocol):
    """Lists, straight from the tables: dictionaries of primitives."""

    def revocations(self, since: datetime, after: UUID | None, at_most: int) -> list[tuple[UUID, datetime]]:
        """Return sessions that ended since then: their ids and when, in the order of their ids, after `after`."""

    def not_before(self, since: datetime, after: UUID | None, at_most: int) -> list[tuple[UUID, datetime]]:
        """Return accounts whose sessions were all ended since then, and up to when, in the order of their ids."""

    def sessions(self, account_id: UUID, now: datetime, idle: timedelta, at_most: int) -> list[dict[str, Any]]:
        """Return live sessions, newest first."""

    def accounts(
        self, *, query: str | None, status: str | None, role: str | None, before: UUID | None, at_most: int
    ) -> list[dict[str, Any]]:
        """Return accounts, newest first. `query` is a part of a name, or the start of an e-mail address."""

    def audit_events(
        self,
        *,
        account_id: UUID | None,
        actor_id: UUID | None,
        kind: str | None,
        before: UUID | None,
        at_most: int,
    ) -> list[dict[str, Any]]:
        """Return entries of the audit trail, newest first, personal data decrypted."""


@dataclass(frozen=True)
class Verdict:
    """What looking through the audit trail has shown.

    :param head: the last seal, as ``42:9f86d0…``; None if nothing is sealed
    :param broken: one line that names the first entry that is not as it was; None if all are
    """

    head: str | None
    broken: str | None


class AuditLog(Protocol):
    """The audit trail as a whole."""

    def announce(self, head: str | None) -> None:
        """Write now and then what the last seal is where those who can change the database cannot reach it.

        :param head: None: as it was
        """

    def verify(self, expected: str | None) -> Verdict:
        """Look whether all entries are as they were sealed.

        :param expected: a head that was announced
        :raises InvalidHead: that is none
        """

    def reseal_keys(self) -> int:
        """Encrypt the keys of all personal data anew with the newest of the server's keys; return how many."""


OldRow = Literal[
    "expired_sessions",
    "ended_sessions",
    "one_time_tokens",
    "email_changes",
    "login_attempts",
    "unknown_logins",
    "mail_counts",
]


class OldRows(Protocol):
    """What nobody needs any more."""

    def delete(self, kind: OldRow, before: datetime, at_most: int) -> int:
        """Delete rows that were over before a moment; return how many. What others delete just now is left to them."""


@dataclass(frozen=True)
class Rules:
    """What the operator has decided.

    :param private_registration: registering tells nobody whether an address is taken
    :param mails_per_hour: of one kind to one account; None: any number
    :param invitation_lifetime: how long an invitation can be claimed
    :param access_token_lifetime: how long a revocation has to be remembered
    """

    private_registration: bool
    lockout: LockoutPolicy
    mails_per_hour: int | None
    invitation_lifetime: timedelta
    access_token_lifetime: timedelta


@dataclass(frozen=True)
class Ports:
    """Everything that a use case of this service may ask for.

    :param unit_of_work: opens a transaction
    :param common_passwords: passwords that many people use, as `domain.password.comparable` spells them
    :param origin: who calls, from where
    :param device_name: what a client calls itself, in words of our own for a person
    :param new_session_id: a session's id tells when it was opened: always after the moment that is given
    """

    unit_of_work: Callable[[], Transaction]
    reads: Reads
    hasher: PasswordHasher
    tokens: Tokens
    refresh_tokens: RefreshTokens
    refresh_policy: RefreshPolicy
    key_maker: KeyMaker
    common_passwords: Container[str]
    breached_passwords: BreachedPasswords
    one_time_tokens: OneTimeTokenMint
    device_tokens: DeviceTokens
    login_keys: LoginKeys
    mailer: Mailer
    audit_log: AuditLog
    old_rows: OldRows
    rules: Rules
    origin: Callable[[], Origin]
    device_name: Callable[[str | None], str]
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    new_session_id: Callable[[datetime | None], UUID]

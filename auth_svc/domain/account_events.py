"""What happens to accounts, as others get to know it: primitives, no secrets, no more personal data than needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class AccountRegistered:
    """An account exists from now on. Subscribers make their own record of the person from it."""

    type: ClassVar[str] = "user.registered"
    schema_version: ClassVar[int] = 1
    id: str
    email: str
    name: str
    status: str
    email_verified: bool


@dataclass(frozen=True)
class LoggedIn:
    """Somebody proved to be the account's owner and has a new session."""

    type: ClassVar[str] = "user.logged_in"
    schema_version: ClassVar[int] = 1
    id: str
    session_id: str
    method: str


@dataclass(frozen=True)
class Claimed:
    """The owner of an invited account's address has taken it over."""

    type: ClassVar[str] = "user.claimed"
    schema_version: ClassVar[int] = 1
    id: str
    email: str
    name: str


@dataclass(frozen=True)
class EmailVerified:
    type: ClassVar[str] = "user.email.verified"
    schema_version: ClassVar[int] = 1
    id: str
    email: str


@dataclass(frozen=True)
class EmailChanged:
    """The account has another address from now on, which is verified."""

    type: ClassVar[str] = "user.email.changed"
    schema_version: ClassVar[int] = 1
    id: str
    email: str


@dataclass(frozen=True)
class PasswordChanged:
    """:param method: ``change`` by who knew the old one, ``reset`` or ``claim`` by who reads the mailbox"""

    type: ClassVar[str] = "user.password.changed"
    schema_version: ClassVar[int] = 1
    id: str
    method: str


@dataclass(frozen=True)
class SessionsRevoked:
    """All sessions of the account that were opened up to a moment ended; their access tokens are to be refused.

    :param not_before: RFC 3339, whole milliseconds
    """

    type: ClassVar[str] = "session.revoked"
    schema_version: ClassVar[int] = 1
    user_id: str
    not_before: str
    reason: str


@dataclass(frozen=True)
class LoginFailed:
    """Somebody tried to sign in as the account's owner and could not.

    :param locked: no further try is looked at for a while
    """

    type: ClassVar[str] = "user.login.failed"
    schema_version: ClassVar[int] = 1
    id: str
    method: str
    locked: bool


@dataclass(frozen=True)
class Disabled:
    type: ClassVar[str] = "user.disabled"
    schema_version: ClassVar[int] = 1
    id: str
    reason: str


@dataclass(frozen=True)
class Enabled:
    type: ClassVar[str] = "user.enabled"
    schema_version: ClassVar[int] = 1
    id: str
    reason: str


@dataclass(frozen=True)
class RolesChanged:
    type: ClassVar[str] = "user.roles.changed"
    schema_version: ClassVar[int] = 1
    id: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Deleted:
    """The account is gone for good, and its id is nobody's."""

    type: ClassVar[str] = "user.deleted"
    schema_version: ClassVar[int] = 1
    id: str

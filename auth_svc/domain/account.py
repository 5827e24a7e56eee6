"""The account: who somebody is here, and what they may do."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, Self
from uuid import UUID

from auth_svc.domain.email import Email
from auth_svc.domain.text import UnreadableError, nfc
from lib.aggregate import Aggregate
from lib.errors import Conflict, Invalid, NotFound, Unauthenticated

MAX_NAME = 100
MAX_REQUEST_KEY = 255
#: control characters, private or unassigned ones, line breaks
NOT_IN_NAMES = frozenset({"Cc", "Co", "Cn", "Zl", "Zp"})
#: they make a text read differently from what it says
DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

Status = Literal["active", "invited", "disabled"]


class InvalidName(Invalid):
    code = "invalid_name"


class InvalidRequestKey(Invalid):
    code = "invalid_request_key"


class InvalidCredentials(Unauthenticated):
    """Told for every reason why somebody cannot sign in, so that the reason does not show."""

    code = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("wrong e-mail address or password")


class AccountNotFound(NotFound):
    code = "account_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such account")


class RequestKeyReused(Conflict):
    """The key was used before for something else."""

    code = "request_key_reused"

    def __init__(self) -> None:
        super().__init__("this request key was used before with another e-mail address")


class RequestKeyTaken(Conflict):
    """A parallel request with the same key was faster; what it did can be read."""

    code = "request_in_progress"

    def __init__(self) -> None:
        super().__init__("a request with the same key is running", retry_after=1)


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


def proper_name(text: object) -> str:
    """Return a person's name, composed and without blanks around it; raise `InvalidName`."""
    try:
        name = nfc(text, at_most=MAX_NAME).strip()
    except UnreadableError as exc:
        raise _invalid_name() from exc
    if not 1 <= len(name) <= MAX_NAME:
        raise _invalid_name()
    if any(unicodedata.category(each) in NOT_IN_NAMES or each in DIRECTION_CONTROLS for each in name):
        raise _invalid_name()
    return name


def _invalid_name() -> InvalidName:
    detail = f"a name has 1 to {MAX_NAME} characters and no control characters"
    return InvalidName(detail, errors=[{"pointer": "/name", "code": InvalidName.code, "detail": detail}])


def proper_request_key(text: object) -> str:
    """Return the caller's key for one request; raise `InvalidRequestKey`."""
    if not isinstance(text, str) or not 1 <= len(text) <= MAX_REQUEST_KEY or not text.isprintable():
        raise InvalidRequestKey(f"a request key has 1 to {MAX_REQUEST_KEY} printable characters")
    return text


@dataclass(eq=False, kw_only=True)
class Account(Aggregate):
    """A person (or what acts for one).

    :param password_hash: None for an account that cannot sign in by password, as an invited one
    :param password_set_at: when its owner chose the password; a mere upgrade of the hash does not change it
    :param request_key: of the request that made the account, so that its repetition finds what it made
    """

    id: UUID
    email: Email
    name: str
    status: Status
    created_at: datetime
    email_verified: bool = False
    roles: tuple[str, ...] = ()
    password_hash: str | None = field(default=None, repr=False)
    password_set_at: datetime | None = None
    request_key: str | None = None
    sequence: int = 0

    @classmethod
    def register(cls, *, id: UUID, email: Email, name: str, password_hash: str, now: datetime) -> Self:
        """Somebody makes an account for themselves."""
        account = cls(
            id=id,
            email=email,
            name=name,
            status="active",
            password_hash=password_hash,
            password_set_at=now,
            created_at=now,
        )
        account._announce()
        return account

    @classmethod
    def invite(cls, *, id: UUID, email: Email, name: str, request_key: str, now: datetime) -> Self:
        """Somebody makes an account for somebody else, who cannot sign in before claiming it."""
        account = cls(id=id, email=email, name=name, status="invited", request_key=request_key, created_at=now)
        account._announce()
        return account

    def _announce(self) -> None:
        self.record(
            AccountRegistered(
                id=str(self.id),
                email=self.email.typed,
                name=self.name,
                status=self.status,
                email_verified=self.email_verified,
            )
        )

    @property
    def is_active(self) -> bool:
        return self.status == "active"

    def log_in(self, *, session_id: UUID, method: str, password_set_at: datetime | None) -> None:
        """Note a sign-in; refuse it if the account was closed or got another password since that was checked.

        :param method: how the owner proved who they are, in words of RFC 8176: ``pwd``, …
        :param password_set_at: of the password that was checked
        """
        if not self.is_active or self.password_set_at != password_set_at:
            raise InvalidCredentials
        self.record(LoggedIn(id=str(self.id), session_id=str(session_id), method=method))

    def upgrade_hash(self, old: str | None, new: str) -> None:
        """Keep the same password under stronger parameters, unless somebody else already did."""
        if self.password_hash == old:
            self.password_hash = new

"""The account: who somebody is here, and what they may do."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Self
from uuid import UUID

from auth_svc.domain.account_events import (
    AccountRegistered,
    Claimed,
    Deleted,
    Disabled,
    EmailChanged,
    EmailVerified,
    Enabled,
    LoggedIn,
    PasswordChanged,
    RolesChanged,
    SessionsRevoked,
)
from auth_svc.domain.email import Email
from auth_svc.domain.mail import MailKind, MailRequested
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


class NotClaimable(Conflict):
    """The invitation was claimed before, or withdrawn."""

    code = "not_claimable"

    def __init__(self) -> None:
        super().__init__("this account is not waiting to be claimed")


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
    :param activated_at: when it first had an owner: at registration, or when an invitation was claimed
    :param not_before: sessions opened up to then have ended
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
    activated_at: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    not_before: datetime | None = None
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
            activated_at=now,
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

    # --- proof of the mailbox ---

    def verify_email(self) -> bool:
        """Note that the owner reads the mail to the account's address; False if that was known."""
        if self.email_verified:
            return False
        self.email_verified = True
        self.record(EmailVerified(id=str(self.id), email=self.email.typed))
        return True

    def claim(self, *, password_hash: str, now: datetime) -> None:
        """Take over an invited account: whoever reads its mail is its owner."""
        if self.status != "invited":
            raise NotClaimable
        self.status, self.activated_at, self.email_verified = "active", now, True
        self.password_hash, self.password_set_at = password_hash, now
        self.record(Claimed(id=str(self.id), email=self.email.typed, name=self.name))

    def change_email(self, email: Email) -> None:
        """Move to another address, whose mail the owner was seen to read."""
        self.email, self.email_verified = email, True
        self.record(EmailChanged(id=str(self.id), email=email.typed))

    # --- password ---

    def set_password(self, password_hash: str, *, method: Literal["change", "reset"], now: datetime) -> None:
        self.password_hash, self.password_set_at = password_hash, now
        self.record(PasswordChanged(id=str(self.id), method=method))

    def drop_password(self) -> None:
        """Let nobody sign in by the password that was: somebody else may have chosen it."""
        self.password_hash = self.password_set_at = None

    # --- sessions ---

    def end_sessions(self, *, newest: datetime, reason: str, now: datetime) -> None:
        """End every session up to now; their rows are ended beside this.

        :param newest: the time in the newest session's id, which can run a little ahead of the clock
        """
        self.not_before = _whole_millisecond(max(now, newest))
        moment = self.not_before.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.record(SessionsRevoked(user_id=str(self.id), not_before=moment, reason=reason))

    # --- what administrators do ---

    def disable(self, reason: str, now: datetime) -> bool:
        """Close the account until somebody opens it again; False if it is closed already."""
        if self.status == "disabled":
            return False
        self.status, self.disabled_at, self.disabled_reason = "disabled", now, reason
        self.record(Disabled(id=str(self.id), reason=reason))
        return True

    def enable(self, reason: str) -> bool:
        """Open a closed account again, as it was; False if it is open."""
        if self.status != "disabled":
            return False
        self.status = "active" if self.activated_at else "invited"
        self.disabled_at = self.disabled_reason = None
        self.record(Enabled(id=str(self.id), reason=reason))
        return True

    def set_roles(self, roles: tuple[str, ...]) -> bool:
        """Give exactly these roles; False if nothing changes."""
        if self.roles == roles:
            return False
        self.roles = roles
        self.record(RolesChanged(id=str(self.id), roles=roles))
        return True

    def delete(self) -> None:
        """Say good-bye; the row goes with it."""
        self.record(Deleted(id=str(self.id)))

    # --- mail ---

    def request_mail(self, kind: MailKind, reference: UUID | None = None) -> None:
        """Have a mail sent after the commit."""
        self.record(
            MailRequested(account_id=str(self.id), kind=kind, reference=None if reference is None else str(reference))
        )


def _whole_millisecond(moment: datetime) -> datetime:
    """Round up, so that all that happened within its millisecond is before it: ids tell no finer time."""
    return moment + timedelta(microseconds=-moment.microsecond % 1000)

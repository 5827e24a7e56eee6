"""The account behind a profile, as far as this service knows it, and what may stand in the way of making one."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from lib.errors import Conflict, Forbidden, Invalid


class EmailTaken(Conflict):
    code = "email_taken"


class InvalidEmail(Invalid):
    code = "invalid_email"


class InvalidRequestKey(Invalid):
    code = "invalid_request_key"


class RequestKeyReused(Conflict):
    """The key was used before, for another person."""

    code = "request_key_reused"


class RequestInProgress(Conflict):
    """The same request is running at this moment."""

    code = "request_in_progress"


class InvitationsClosed(Forbidden):
    code = "invitations_closed"


MAX_KEY = 255


@dataclass(frozen=True)
class Identity:
    """What the service that keeps the accounts answers about one.

    :param disabled: the account may not be used
    """

    id: UUID
    email: str = field(repr=False)
    name: str = field(repr=False)
    disabled: bool = False


def check_invitation(*, open_to_all: bool, may_invite: bool) -> None:
    """Refuse to make an account for somebody else, unless everybody may or this caller may."""
    if not (open_to_all or may_invite):
        raise InvitationsClosed("only administrators can add users here")


def check_request_key(value: object) -> str:
    """Return the key under which a request is repeated; an empty one would make all who send it one request."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_KEY:
        raise InvalidRequestKey(f"a request key is text of 1 to {MAX_KEY} characters")
    return value

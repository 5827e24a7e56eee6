"""What is asked of an inbox: how many, which one, and where a list goes on."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from uuid import UUID

from lib.errors import Invalid, Malformed
from users_svc.domain.notification import NotificationNotFound

MAX_LIMIT = 100
LARGEST = 2**53 - 1
"""Numbers are also ids of events in a stream: every JSON reader keeps these exactly."""

_NUMBER, _CHECK = 8, 7
"""Bytes of the number and of its check sum; together they fill a text of 20 characters without a bit to spare."""


class InvalidCursor(Malformed):
    code = "invalid_cursor"


class InvalidLimit(Invalid):
    code = "invalid_limit"


class InvalidNumber(Invalid):
    code = "invalid_argument"


def checked_limit(value: object) -> int:
    """Return `value` if so many may be asked for at a time."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LIMIT:
        raise InvalidLimit(f"the limit is from 1 to {MAX_LIMIT}")
    return value


def checked_number(value: object) -> int:
    """Return `value` if it can be the number of a notification, or 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
        raise InvalidNumber(f"a number is from 0 to {LARGEST}")
    return value


def parse_notification_id(value: object) -> UUID:
    """Return the id that `value` writes; what cannot be one is the id of none."""
    try:
        parsed = UUID(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    # UUID() also reads braces, a URN and missing dashes; only the usual form counts.
    if parsed is None or str(parsed) != str(value).lower():
        raise NotificationNotFound("there is no such notification")
    return parsed


def cursor_after(number: int, owner: UUID) -> str:
    """Return the cursor for what comes after the notification with that number."""
    return urlsafe_b64encode(number.to_bytes(_NUMBER) + _check(number, owner)).decode()


def number_of(cursor: object, owner: UUID) -> int:
    """Return the number that a cursor of this owner's list goes on from."""
    try:
        number = int.from_bytes(urlsafe_b64decode(cursor)[:-_CHECK]) if isinstance(cursor, str) else -1
    except ValueError:
        number = -1
    # Not a secret: whoever forges one only pages through what is theirs. It finds cursors that were cut or mixed up.
    if not 0 <= number <= LARGEST or cursor_after(number, owner) != cursor:
        raise InvalidCursor("the cursor is none of this list")
    return number


def _check(number: int, owner: UUID) -> bytes:
    return sha256(b"notifications" + owner.bytes + number.to_bytes(_NUMBER)).digest()[:_CHECK]

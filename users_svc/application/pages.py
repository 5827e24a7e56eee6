"""Lists in pages, newest first, from a cursor that says where the last page ended."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from lib.errors import Invalid, Malformed

MAX_LIMIT = 100
_CHECK = 5
"""Bytes of the check sum; with the id's 16 they fill a text of 28 characters without a bit to spare."""

Row = dict[str, Any]


class InvalidCursor(Malformed):
    code = "invalid_cursor"

    def __init__(self) -> None:
        super().__init__("the cursor is none of this list")


class InvalidLimit(Invalid):
    code = "invalid_limit"


@dataclass(frozen=True)
class Page:
    data: list[Row]
    next_cursor: str | None


def page(
    query: Callable[[int, UUID | None], list[Row]], *, of: str, limit: object, cursor: object, by: str = "id"
) -> Page:
    """Return one page of a list, newest first.

    :param query: ``query(at_most, before)``
    :param of: names the list and what it is filtered by: a cursor fits one list only
    :param by: the member of a row that the list is in the order of
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        detail = f"the limit is from 1 to {MAX_LIMIT}"
        raise InvalidLimit(detail, errors=[{"pointer": "/limit", "code": InvalidLimit.code, "detail": detail}])
    # One more than asked for tells whether there is a next page.
    rows = query(limit + 1, None if cursor is None else place_of(cursor, of))
    data = rows[:limit]
    return Page(data, cursor_at(data[-1][by], of) if len(rows) > limit else None)


def cursor_at(last: UUID, of: str) -> str:
    """Return what a client sends for what comes after `last`."""
    return urlsafe_b64encode(last.bytes + _check(last, of)).decode()


def place_of(cursor: object, of: str) -> UUID:
    """Return the id that a cursor of this list stands at; raise `InvalidCursor`."""
    try:
        raw = urlsafe_b64decode(cursor)  # type: ignore[arg-type]  # another type is as wrong as another text
        last = UUID(bytes=raw[:-_CHECK])
    except (TypeError, ValueError) as exc:
        raise InvalidCursor from exc
    # Not a secret: whoever forges one only pages through what is theirs. It finds cursors that were cut or mixed up.
    if cursor_at(last, of) != cursor:
        raise InvalidCursor
    return last


def _check(last: UUID, of: str) -> bytes:
    return sha256(of.encode() + last.bytes).digest()[:_CHECK]

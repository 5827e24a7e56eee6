"""Lists in pages: newest first, from a cursor that says where the last page ended."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from lib.errors import Malformed
from lib.ids import EPOCH
from payments_svc.application.history_ports import Place
from payments_svc.application.ports import Row
from payments_svc.domain.arguments import BadArgument

MAX_LIMIT = 100
_CHECK = 5
"""Bytes of the check sum at least; it is as long as it takes to leave no bit of the text to spare."""
_TIME, _ID = 8, 16
_MICROSECOND = timedelta(microseconds=1)
P = TypeVar("P")


class InvalidCursor(Malformed):
    code = "invalid_cursor"


class InvalidLimit(BadArgument):
    code = "invalid_limit"


@dataclass(frozen=True)
class Page:
    data: list[Row]
    next_cursor: str | None


def page(
    query: Callable[[int, UUID | None], list[Row]], *, of: str, limit: int, cursor: str | None, most: int = MAX_LIMIT
) -> Page:
    """Return one page of a list that is sorted by id.

    :param query: ``query(limit, before)``
    :param of: names the list and its owner: a cursor fits one list only
    :param most: the largest `limit`
    """
    before = None if cursor is None else UUID(bytes=_opened(cursor, of, _ID))
    return _page(query, before, lambda row: encoded_cursor(row["id"], of), limit, most)


def page_by_time(
    query: Callable[[int, Place | None], list[Row]],
    *,
    time: str,
    of: str,
    limit: int,
    cursor: str | None,
    most: int = MAX_LIMIT,
) -> Page:
    """Return one page of a list that is sorted by a time, and by id among equals; arguments as of `page`.

    :param time: the member of a row that it is sorted by
    """
    before = None if cursor is None else _place(_opened(cursor, of, _TIME + _ID))
    return _page(query, before, lambda row: encoded_cursor(Place(row[time], row["id"]), of), limit, most)


def _page(
    query: Callable[[int, P | None], list[Row]],
    before: P | None,
    cursor_of: Callable[[Row], str],
    limit: int,
    most: int,
) -> Page:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= most:
        raise InvalidLimit(f"the limit is from 1 to {most}", "/limit")
    # One more than asked for tells whether there is a next page.
    rows = query(limit + 1, before)
    data = rows[:limit]
    return Page(data, cursor_of(data[-1]) if len(rows) > limit else None)


def encoded_cursor(last: UUID | Place, of: str) -> str:
    """Return the cursor of a list that says: what comes after `last`."""
    if isinstance(last, UUID):
        return _closed(last.bytes, of)
    return _closed(((last.moment - EPOCH) // _MICROSECOND).to_bytes(_TIME, signed=True) + last.id.bytes, of)


def _place(raw: bytes) -> Place:
    try:
        return Place(EPOCH + int.from_bytes(raw[:_TIME], signed=True) * _MICROSECOND, UUID(bytes=raw[_TIME:]))
    except OverflowError as exc:
        raise InvalidCursor("the cursor is none of this list") from exc


def _opened(cursor: str, of: str, length: int) -> bytes:
    try:
        raw = urlsafe_b64decode(cursor)[:length]
    except (TypeError, ValueError) as exc:
        raise InvalidCursor("the cursor is none of this list") from exc
    # Not a secret: whoever forges one only pages through what is theirs. It finds cursors that were cut or mixed up.
    if _closed(raw, of) != cursor:
        raise InvalidCursor("the cursor is none of this list")
    return raw


def _closed(raw: bytes, of: str) -> str:
    check = _CHECK + -(len(raw) + _CHECK) % 3
    return urlsafe_b64encode(raw + sha256(of.encode() + raw).digest()[:check]).decode()

"""Lists in pages: newest first, from a cursor that says where the last page ended."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from lib.errors import Malformed
from payments_svc.application.ports import Row
from payments_svc.domain.arguments import BadArgument

MAX_LIMIT = 100
_CHECK = 5
"""Bytes of the check sum; with the id's 16 they fill a text of 28 characters without a bit to spare."""


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
    """Return one page of a list.

    :param query: ``query(limit, before)``
    :param of: names the list and its owner: a cursor fits one list only
    :param most: the largest `limit`
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= most:
        raise InvalidLimit(f"the limit is from 1 to {most}", "/limit")
    # One more than asked for tells whether there is a next page.
    rows = query(limit + 1, None if cursor is None else _decode(cursor, of))
    data = rows[:limit]
    return Page(data, encoded_cursor(data[-1]["id"], of) if len(rows) > limit else None)


def encoded_cursor(last: UUID, of: str) -> str:
    """Return the cursor of a list that says: what comes after `last`."""
    return urlsafe_b64encode(last.bytes + _check(last, of)).decode()


def _decode(cursor: str, of: str) -> UUID:
    try:
        raw = urlsafe_b64decode(cursor)
        last = UUID(bytes=raw[:-_CHECK])
    except (TypeError, ValueError) as exc:
        raise InvalidCursor("the cursor is none of this list") from exc
    # Not a secret: whoever forges one only pages through what is theirs. It finds cursors that were cut or mixed up.
    if encoded_cursor(last, of) != cursor:
        raise InvalidCursor("the cursor is none of this list")
    return last


def _check(last: UUID, of: str) -> bytes:
    return sha256(of.encode() + last.bytes).digest()[:_CHECK]

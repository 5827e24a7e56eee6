"""Somebody looks for people."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from users_svc.application.pages import MAX_LIMIT, InvalidCursor, InvalidLimit, Page
from users_svc.application.ports import Ports
from users_svc.application.search_ports import Place
from users_svc.domain.search_query import SearchFilters, SearchQuery, Sort, proper_sort
from users_svc.domain.visibility import viewer_of, visible_fields

_CHECK = 6
_ID = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: the column that a row's place in the order is read from
_PLACES: dict[Sort, str] = {"relevance": "score", "newest": "created_at", "name": "search_name"}


def search_users(
    ports: Ports,
    *,
    query: str | None = None,
    sort: str | None = None,
    joined_after: str | None = None,
    joined_before: str | None = None,
    following: bool = False,
    limit: int = 20,
    cursor: str | None = None,
    viewer_id: str | None = None,
    is_admin: bool = False,
) -> Page:
    """Return people who may be found, as the viewer sees them. A page can be short, or empty, before the last one.

    :param query: a part of handle or name, or a whole e-mail address; everybody, if there is none
    :param sort: ``relevance``, ``newest`` or ``name``; the default is the first with a query, else the second
    :param viewer_id: who looks; None for somebody who is not signed in
    :param is_admin: they administrate; they see more of each, and no more people
    """
    wanted = SearchQuery.parse(query)
    order = proper_sort(sort, wanted)
    filters = SearchFilters.parse(joined_after=joined_after, joined_before=joined_before, following=following)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        detail = f"the limit is from 1 to {MAX_LIMIT}"
        raise InvalidLimit(detail, errors=[{"pointer": "/limit", "code": InvalidLimit.code, "detail": detail}])
    of = repr((wanted, order, filters))
    rows, reached = ports.search.find(
        wanted,
        sort=order,
        filters=filters,
        viewer_id=None if viewer_id is None else UUID(viewer_id),
        after=None if cursor is None else _place_of(cursor, order, of),
        # One more than asked for tells whether there is a next page.
        at_most=limit + 1,
    )
    found = rows[:limit]
    data = [visible_fields(each, viewer_of(each, viewer_id, is_admin=is_admin)) for each in found]
    if len(rows) > limit:
        reached = found[-1][_PLACES[order]], found[-1]["id"]
    return Page(data, None if reached is None else _cursor_at(reached, order, of))


def _cursor_at(last: Place, order: Sort, of: str) -> str:
    """Return what a client sends for what comes after a place, which may be somebody else's by then."""
    place, id = last
    if order == "newest":
        place = (place - _EPOCH) // _MICROSECOND
    content = id.bytes + str(place).encode()
    return urlsafe_b64encode(_check(content, of) + content).decode()


def _place_of(cursor: object, order: Sort, of: str) -> tuple[Any, UUID]:
    """Return place and id that a cursor of this list stands at; raise `InvalidCursor`."""
    try:
        raw = urlsafe_b64decode(cursor)  # type: ignore[arg-type]  # another type is as wrong as another text
    except (TypeError, ValueError) as exc:
        raise InvalidCursor from exc
    check, content = raw[:_CHECK], raw[_CHECK:]
    # Not a secret: whoever forges one finds nobody whom they would not find without. It finds cursors that were cut
    # or mixed up, and decoding skips what is not of its alphabet.
    if _check(content, of) != check or urlsafe_b64encode(raw).decode() != cursor:
        raise InvalidCursor
    try:
        last, place = UUID(bytes=content[:_ID]), content[_ID:].decode()
        if order == "name" and "\0" not in place:
            return place, last
        number = int(place)
        return (number if order == "relevance" else _EPOCH + number * _MICROSECOND), last
    except (ValueError, OverflowError) as exc:
        raise InvalidCursor from exc


def _check(content: bytes, of: str) -> bytes:
    return sha256(of.encode() + content).digest()[:_CHECK]

"""Cursors say where a page ended, and fit one list only."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.ids import new_id
from payments_svc.application.history_ports import Place
from payments_svc.application.pages import InvalidCursor, InvalidLimit, Page, encoded_cursor, page, page_by_time

LIST, NOON = "things:", datetime(2026, 1, 31, 12, tzinfo=UTC)


def rows(number: int) -> list[dict[str, Any]]:
    return [{"id": new_id(), "made_at": NOON - timedelta(microseconds=each // 2)} for each in range(number)]


def by_time(asked: list[Any], number: int = 0, **more: Any) -> Page:
    """Ask for a page of a list of `number` rows; note what the query is asked."""

    def query(limit: int, before: Place | None) -> list[dict[str, Any]]:
        asked.append((limit, before))
        return rows(number)[:limit]

    return page_by_time(query, time="made_at", **{"of": LIST, "limit": 2, "cursor": None, **more})


def by_id(asked: list[Any], **more: Any) -> Page:
    return page(lambda limit, before: asked.append(before) or [], **{"of": LIST, "limit": 2, "cursor": None, **more})


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_place_comes_back_to_the_microsecond(moment: datetime, id: Any) -> None:
    asked: list[Any] = []
    by_time(asked, cursor=encoded_cursor(Place(moment, id), LIST))
    by_id(asked, cursor=encoded_cursor(id, LIST))
    assert asked == [(3, Place(moment, id)), id]


def test_a_page_by_time_goes_on_at_its_last_row() -> None:
    asked: list[Any] = []
    first = by_time(asked, number=3)
    by_time(asked, cursor=first.next_cursor)
    last = first.data[-1]
    assert asked == [(3, None), (3, Place(last["made_at"], last["id"]))]
    assert by_time(asked, number=2).next_cursor is None


def test_places_are_in_the_order_of_their_times_and_then_of_their_ids() -> None:
    low, high = sorted((new_id(), new_id()))
    later = NOON + timedelta(microseconds=1)
    assert Place(NOON, low) < Place(NOON, high) < Place(later, low)


@pytest.mark.parametrize("cursor", ["", "a", "!", "é", "AAAA", encoded_cursor(new_id(), LIST), 5, b""])
def test_what_is_no_cursor_of_a_list_by_time(cursor: Any) -> None:
    with pytest.raises(InvalidCursor):
        by_time([], cursor=cursor)


def test_cursors_of_other_lists() -> None:
    place = Place(NOON, new_id())
    with pytest.raises(InvalidCursor):
        by_time([], cursor=encoded_cursor(place, "others:"))
    with pytest.raises(InvalidCursor):
        by_id([], cursor=encoded_cursor(place, LIST))


@given(st.integers(0, 39), st.sampled_from("AQgw-_09z="))
def test_a_cursor_that_was_changed(position: int, letter: str) -> None:
    cursor = encoded_cursor(Place(NOON, new_id()), LIST)
    changed = cursor[:position] + letter + cursor[position + 1 :]
    for wrong in {changed, cursor[:position], cursor + letter} - {cursor}:
        with pytest.raises(InvalidCursor):
            by_time([], cursor=wrong)


@pytest.mark.parametrize("microseconds", [2**63 - 1, -(2**63)])
def test_a_time_beyond_all_calendars(microseconds: int) -> None:
    """Made up, with the right check sum: it is no secret."""
    raw = microseconds.to_bytes(8, signed=True) + new_id().bytes
    check = sha256(LIST.encode() + raw).digest()[:6]
    with pytest.raises(InvalidCursor):
        by_time([], cursor=urlsafe_b64encode(raw + check).decode())


@pytest.mark.parametrize("limit", [0, -1, 101, True, "5", None])
def test_limits_of_a_list_by_time(limit: Any) -> None:
    with pytest.raises(InvalidLimit):
        by_time([], limit=limit)

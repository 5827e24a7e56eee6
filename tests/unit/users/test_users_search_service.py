"""The RPC methods of search: who may call them, and what comes back."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from lib.access import anyone
from lib.context import ANONYMOUS, Actor
from tests.fakes.users import NOON, FakeWorld
from users_svc.application.lookup_users import InvalidLookup
from users_svc.application.search_ports import Found, Place
from users_svc.application.search_users import search_users
from users_svc.domain.search_query import SearchFilters, SearchQuery
from users_svc.presentation.service import UsersService

ANN, BOB = UUID("0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f"), UUID("0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e70")


def row(user_id: UUID, **fields: Any) -> dict[str, Any]:
    return {
        "id": user_id,
        "handle": "ann",
        "display_name": "Ann",
        "avatar_url": None,
        "email": "ann@example.com",
        "birth_date": date(1990, 2, 28),
        "private": False,
        "disabled": False,
        "created_at": NOON,
        "visibility": {},
        "search_text": "ann ann",
        "handle_key": "ann",
        "following": False,
        "followed_by": False,
        "score": 7,
        "by_key": None,
        **fields,
    }


class FakeSearch:
    """Finds what it is given, and remembers what it was asked."""

    def __init__(self, *rows: Mapping[str, Any]) -> None:
        self.rows = rows
        self.reached: Place | None = None
        self.asked: dict[str, Any] = {}

    def find(self, query: SearchQuery, **asked: Any) -> Found:
        self.asked = {"query": query, **asked}
        return Found(list(self.rows[: asked["at_most"]]), self.reached)

    def by_ids_and_handles(self, ids: Any, handle_keys: Any, **asked: Any) -> list[Mapping[str, Any]]:
        self.asked = {"ids": ids, "handle_keys": handle_keys, **asked}
        return list(self.rows)


@pytest.fixture
def service():
    service = UsersService()
    service.caller = ANONYMOUS

    def finding(*rows):
        service.ports = replace(FakeWorld().ports(), search=FakeSearch(*rows))
        return service

    return finding


PUBLIC = {
    "id": str(ANN),
    "handle": "ann",
    "display_name": "Ann",
    "avatar_url": None,
    "private": False,
    "created_at": "2026-01-31T12:00:00Z",
}


@pytest.mark.parametrize("method", ["search_users", "lookup_users"])
def test_everybody_may_ask_and_ask_again(method):
    (entrypoint,) = getattr(UsersService, method).nameko_entrypoints
    assert entrypoint.allow is anyone
    assert entrypoint.idempotent is True


def test_found_users_come_as_text_and_with_nothing_that_is_not_for_the_caller(service):
    page = service(row(ANN), row(BOB)).search_users(query="ann", limit=1)
    assert page["data"] == [PUBLIC]
    assert json.loads(json.dumps(page)) == page


def test_the_last_page_has_no_cursor(service):
    assert service(row(ANN)).search_users(limit=1)["next_cursor"] is None


def test_the_search_is_the_callers(service):
    searching = service(row(ANN))
    searching.caller = Actor("account", id=str(BOB))
    searching.search_users(query="ANN", sort="name", joined_after="2026-01-31", following=True, limit=3)
    assert searching.ports.search.asked == {
        "query": SearchQuery("ann", words=("ann",)),
        "sort": "name",
        "filters": SearchFilters(joined_after=NOON.replace(hour=0), following=True),
        "viewer_id": BOB,
        "after": None,
        "at_most": 4,
    }


@pytest.mark.parametrize(("sort", "place"), [("relevance", 7), ("newest", NOON), ("name", "ann é")])
def test_a_cursor_goes_on_from_the_last_row(service, sort, place):
    searching = service(row(ANN, search_name="ann é"), row(BOB))
    cursor = searching.search_users(query="ann", sort=sort, limit=1)["next_cursor"]
    searching.search_users(query="ann", sort=sort, limit=1, cursor=cursor)
    assert searching.ports.search.asked["after"] == (place, ANN)


def test_a_page_that_ended_before_its_time_goes_on_from_where_it_was(service):
    """Short or empty, and not the last one."""
    for rows in ((), (row(ANN, search_name="ann"),)):
        searching = service(*rows)
        searching.ports.search.reached = ("bob 🐇", BOB)
        page = searching.search_users(sort="name", limit=5)
        assert len(page["data"]) == len(rows)
        searching.search_users(sort="name", limit=5, cursor=page["next_cursor"])
        assert searching.ports.search.asked["after"] == ("bob 🐇", BOB)


def test_the_owner_sees_all_of_themself(service):
    searching = service(row(ANN))
    searching.caller = Actor("account", id=str(ANN))
    (item,) = searching.search_users()["data"]
    assert (item["email"], item["birth_date"]) == ("ann@example.com", "1990-02-28")


def test_an_administrator_sees_what_strangers_see(service):
    searching = service(row(ANN))
    searching.caller = Actor("account", id=str(BOB), roles=frozenset({"admin"}))
    assert searching.search_users()["data"] == [PUBLIC]
    assert search_users(searching.ports, viewer_id=str(BOB), is_admin=True).data[0].keys() == PUBLIC.keys()


def test_a_lookup_comes_as_text(service):
    found = service(row(ANN)).lookup_users(ids=[str(BOB), str(ANN)], handles=["nobody"])
    assert found == {
        "data": [{"id": str(BOB), "not_found": True}, PUBLIC, {"handle": "nobody", "not_found": True}],
    }
    assert json.loads(json.dumps(found)) == found


def test_a_lookup_of_nothing(service):
    assert service().lookup_users() == {"data": []}


def test_disabled_accounts_are_there_for_administrators(service):
    looking = service(row(ANN, disabled=True))
    asked = {"ids": [str(ANN)]}
    assert looking.lookup_users(**asked)["data"] == [{"id": str(ANN), "not_found": True}]
    looking.caller = Actor("account", id=str(BOB), roles=frozenset({"admin"}))
    assert looking.lookup_users(**asked)["data"] == [PUBLIC]


@pytest.mark.parametrize("rows", [(0, 1), (1, 0)])
def test_who_has_a_handle_comes_before_who_had_it(service, rows):
    has, had = row(ANN, by_key="ann"), row(BOB, by_key="ann", handle_key="bob")
    looking = service(*((has, had)[each] for each in rows))
    assert looking.lookup_users(handles=["Ann"])["data"] == [PUBLIC]


def test_a_handle_that_is_not_for_the_caller_leads_nowhere(service):
    looking = service(row(ANN, by_key="ann", visibility={"handle": "private"}))
    assert looking.lookup_users(handles=["ann"])["data"] == [{"handle": "ann", "not_found": True}]


def test_too_many_ids_are_refused(service):
    with pytest.raises(InvalidLookup):
        service().lookup_users(ids=["x"] * 101)

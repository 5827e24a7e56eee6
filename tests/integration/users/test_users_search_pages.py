"""The pages of a search, on PostgreSQL: everybody once, whoever comes and goes meanwhile."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256

import pytest

from lib.ids import new_id
from tests.fakes.users import NOON
from tests.support.naughty import NAUGHTY
from users_svc.application.edit_profile import edit_profile
from users_svc.application.pages import InvalidCursor, InvalidLimit
from users_svc.application.search_users import search_users
from users_svc.domain.search_query import SearchFilters, SearchQuery
from users_svc.infrastructure.search_candidates import CANDIDATES

DAY = timedelta(days=1)


@pytest.fixture
def pages(ports):
    """``pages("ann", limit=2, …)`` → the ids on all pages, one list each."""

    def search(query=None, between=lambda: None, **options):
        cursor, all_of_them = None, []
        while True:
            page = search_users(ports, query=query, cursor=cursor, **options)
            all_of_them.append([each["id"] for each in page.data])
            cursor = page.next_cursor
            if cursor is None:
                return all_of_them
            between()

    return search


@pytest.mark.parametrize("sort", ["relevance", "newest", "name"])
@pytest.mark.parametrize("query", ["ann", "an", None, "ann example"])
def test_pages_have_everybody_once(person, pages, query, sort):
    if query is None and sort == "relevance":
        sort = None
    people = {person(name=f"Ann Example {number % 3}", created_at=NOON) for number in range(7)}
    people |= {person(name=f"Ann Example {number}", handle=f"ann_{number}") for number in range(4)}
    for limit in (1, 3, 11, 100):
        listed = pages(query, sort=sort, limit=limit)
        assert [len(each) for each in listed[:-1]] == [limit] * (len(listed) - 1)
        flat = [each for page in listed for each in page]
        assert len(flat) == len(people)
        assert set(flat) == people
        assert flat == pages(query, sort=sort, limit=100)[0]


@pytest.mark.parametrize("sort", ["relevance", "newest", "name"])
@pytest.mark.parametrize("query", ["ann", "an", "example", None])
def test_nobody_comes_twice_or_not_at_all_because_others_come_or_go(ports, person, pages, query, sort):
    if query is None and sort == "relevance":
        sort = None
    people = {person(name=f"Ann Example {number}", created_at=NOON) for number in range(8)}
    going = [person(name=f"Ann Example {number}", created_at=NOON) for number in range(8)]

    def others_come_and_go():
        person(name="Ann Example", handle=f"ann{new_id().hex[-20:]}", created_at=NOON + DAY)
        person(name="Ann Example 999", created_at=NOON - DAY)
        edit_profile(ports, user_id=str(going.pop()), changes={"discoverable": False})

    flat = [each for page in pages(query, between=others_come_and_go, sort=sort, limit=4) for each in page]
    assert people <= set(flat)
    assert len(flat) == len(set(flat))


def test_the_cursor_of_who_is_gone_still_stands_where_it_stood(ports, person, pages):
    people = [person(name=f"Ann {number}", created_at=NOON + number * DAY) for number in range(4)]

    def the_last_one_changes():
        edit_profile(ports, user_id=str(people[2]), changes={"discoverable": False, "display_name": "Zoe"})

    assert pages("ann", between=the_last_one_changes, sort="name", limit=3) == [people[:3], people[3:]]


def test_many_more_than_are_looked_at_do_no_harm(ports, person, pages, users_sessions):
    people = {person(name=f"Ann {number:03}") for number in range(CANDIDATES + 20)}
    flat = [each for page in pages("ann", limit=100) for each in page]
    assert len(flat) == len(set(flat))
    assert len(flat) >= CANDIDATES
    assert set(flat) <= people


def _signed(content, of):
    return urlsafe_b64encode(sha256(of.encode() + content).digest()[:6] + content).decode()


@pytest.mark.parametrize("sort", ["relevance", "newest", "name"])
def test_a_cursor_that_is_none_of_ours_is_refused(ports, person, sort):
    for number in range(3):
        person(name=f"Ann {number}")
    cursor = search_users(ports, query="ann", sort=sort, limit=1).next_cursor
    of = repr((SearchQuery.parse("ann"), sort, SearchFilters()))
    last = urlsafe_b64decode(cursor)[6:22]
    assert _signed(urlsafe_b64decode(cursor)[6:], of) == cursor  # else what follows would show nothing
    forged = [_signed(content, of) for content in (b"", last[:5], last + b"\xff", last + b"nul\0")]
    if sort != "name":
        forged += [_signed(last + content, of) for content in (b"", b"x", b"1" * 5000)]
    if sort == "newest":
        forged.append(_signed(last + b"9" * 30, of))
    cut = [cursor[:-4], cursor[4:], cursor + "AAAA", f" {cursor}", f"{cursor}\n", cursor.swapcase()]
    for bad in (*cut, *forged, "", "x", "é", "%", 5, True, ["x"], NAUGHTY["NUL"]):
        with pytest.raises(InvalidCursor):
            search_users(ports, query="ann", sort=sort, limit=1, cursor=bad)


def test_a_cursor_fits_its_own_list_only(ports, person):
    for number in range(3):
        person(name=f"Ann {number}")
    cursor = search_users(ports, query="ann", sort="name", limit=1).next_cursor
    for other in (
        {"query": "an", "sort": "name"},
        {"query": "ann", "sort": "newest"},
        {"query": None, "sort": "name"},
        {"query": "ann", "sort": "name", "joined_after": "2026-01-01"},
        {"query": "ann", "sort": "name", "following": True},
    ):
        with pytest.raises(InvalidCursor):
            search_users(ports, cursor=cursor, **other)
    assert search_users(ports, query=" ANN ", sort="name", cursor=cursor).data  # the same list


@pytest.mark.parametrize("limit", [0, -1, 101, True, "5", 2.0, None])
def test_a_limit_is_from_1_to_100(ports, limit):
    with pytest.raises(InvalidLimit):
        search_users(ports, limit=limit)

"""Search on PostgreSQL: who is found, who is not, and in which order."""

from datetime import timedelta
from itertools import product

import pytest

from tests.fakes.users import NOON
from tests.support.naughty import NAUGHTY
from users_svc.application.block_user import block_user
from users_svc.application.edit_profile import edit_profile
from users_svc.application.follow_user import follow_user
from users_svc.application.search_users import search_users
from users_svc.domain.search_query import InvalidQuery

DAY = timedelta(days=1)


@pytest.fixture
def found(ports):
    """``found("ann", …)`` → the ids of who is found, in order."""

    def search(query=None, **options):
        return [each["id"] for each in search_users(ports, query=query, **options).data]

    return search


def test_the_parts_of_a_name_find_its_owner(person, found):
    ann = person(name="Ann-Marie O’Neil", handle="annie_42")
    person(name="Bob", handle="bob")
    for query in ("ann", "Marie", "neil", "annie_42", "@annie_42", "nie_4", "neil ann", "Ann-Marie O’Neil"):
        assert found(query) == [ann], query
    assert found("ann bob") == []
    assert found("annie_43") == []


def test_case_accents_and_width_do_not_matter(person, found):
    jose = person(name="José Ångström")
    for query in ("jose angstrom", "JOSÉ ÅNGSTRÖM", "Jose\u0301 A\u030angstro\u0308m", "ｊｏｓｅ", "ångström"):
        assert found(query) == [jose], query


@pytest.mark.parametrize(("name", "query"), [("Лев Толстой", "толст"), ("山田太郎", "田太郎"), ("Ελένη", "ελενη")])
def test_every_script_is_found(person, found, name, query):
    reader = person(name=name)
    person(name="Ann")
    assert found(query) == [reader]


@pytest.mark.parametrize("query", ["%", "_", "%%", "100%", "a_b", "\\", "a\\b", "___", "%ann%", "a%n", "ann\\"])
def test_what_means_something_to_like_means_itself(person, found, query):
    person(name="Ann Example 100 aXb", handle="axb_ann")
    itself = person(name=f"{query} Zed")
    assert found(query) == [itself]


@pytest.mark.parametrize("query", ["a", "An", "é", "lo"])
def test_one_or_two_letters_are_the_start_of_handle_or_name(person, found, query):
    by_handle = person(name="Zed", handle={"a": "ab1", "An": "anx", "é": "edd", "lo": "lox"}[query])
    by_name = person(name={"a": "Åsa", "An": "Ánna", "é": "Eve", "lo": "Lo"}[query])
    person(name="Zlo Zan Zea", handle="zanloe")
    assert found(query) == [by_handle, by_name]


def test_a_short_word_beside_a_long_one_is_the_start_of_a_word(person, found):
    ann_b = person(name="Ann B")
    b_ann = person(name="B Annson")
    person(name="Annb Cob")
    assert set(found("ann b")) == {ann_b, b_ann}
    assert found("b annson") == [b_ann]


def test_the_exact_handle_comes_first_then_beginnings_then_the_most_similar(person, found):
    far = person(name="Joanna Annabel Annison-Cooper")
    near = person(name="Susann")
    name = person(name="Annabel", handle="zzz")
    longer = person(name="Zoe", handle="annabella")
    long = person(name="Zoe", handle="annie")
    exact = person(name="Zoe", handle="ann")
    assert found("ann") == [exact, long, longer, name, near, far]


def test_everybody_without_a_query_the_newest_first(person, found):
    people = [person(name=f"P{number}", created_at=NOON + number * DAY) for number in range(3)]
    assert found() == people[::-1]
    assert found("") == people[::-1]


def test_other_orders(person, found):
    beth = person(name="Beth Ann", created_at=NOON + DAY)
    zoe = person(name="zoe ann", created_at=NOON)
    abe = person(name="Åbe Ann", created_at=NOON - DAY)
    for query in (None, "ann"):
        assert found(query, sort="newest") == [beth, zoe, abe]
        assert found(query, sort="name") == [abe, beth, zoe]


def test_filters(ports, person, found):
    old = person(name="Old Ann", created_at=NOON - DAY)
    new = person(name="New Ann", created_at=NOON)
    viewer = str(person(name="Viewer", created_at=NOON - 9 * DAY))
    follow_user(ports, user_id=viewer, target_id=str(old))
    for query in (None, "ann", "an", "old ann"):
        everybody = set(found(query)) & {old, new}
        assert set(found(query, joined_after="2026-01-31T12:00:00Z")) == everybody & {new}, query
        assert set(found(query, joined_before="2026-01-31T12:00:00Z", joined_after="2026-01-30")) == everybody & {old}
        assert set(found(query, following=True, viewer_id=viewer)) == everybody & {old}
        assert found(query, following=True) == []


HIDING = [{"discoverable": False}, {"private": True}, {"disabled": True}]
QUERIES = [None, "ann", "an", "ann example", "mple", "ann@example.com", "ann_handle"]


@pytest.mark.parametrize("hiding", HIDING)
def test_who_hides_is_found_by_nothing(person, found, hiding):
    fields = {"name": "Ann Example", "handle": "ann_handle", "email": "ann@example.com", "findable_by_email": True}
    hidden = person(**fields, **hiding)
    for viewer in (None, str(person(name="Viewer")), str(hidden)):
        for query in QUERIES:
            for sort in (None, "newest", "name"):
                assert hidden not in found(query, sort=sort, viewer_id=viewer), (query, sort)


def test_neither_side_of_a_block_finds_the_other(ports, person, found):
    ann = person(name="Ann Example", handle="ann_handle", email="ann@example.com", findable_by_email=True)
    blocked, blocking, other = (str(person(name=name)) for name in ("Xa", "Xb", "Xc"))
    block_user(ports, user_id=str(ann), target_id=blocked)
    block_user(ports, user_id=blocking, target_id=str(ann))
    for query, sort in product(QUERIES, [None, "newest", "name"]):
        assert ann in found(query, sort=sort, viewer_id=other), (query, sort)
        assert ann in found(query, sort=sort), (query, sort)
        assert ann not in found(query, sort=sort, viewer_id=blocked), (query, sort)
        assert ann not in found(query, sort=sort, viewer_id=blocking), (query, sort)


def test_a_page_is_full_whoever_is_left_out(ports, person, found):
    """Left out by the database, before the limit: a page with gaps would tell how many there are."""
    viewer = str(person(name="Viewer", created_at=NOON - DAY))
    people = [person(name=f"Ann {number}", created_at=NOON + number * DAY) for number in range(6)]
    for each in people[::2]:
        block_user(ports, user_id=str(each), target_id=viewer)
    assert found("ann", sort="newest", limit=3, viewer_id=viewer) == people[5::-2]


def test_who_opts_out_is_gone_at_once_and_comes_back(ports, person, found):
    ann = person(name="Ann Example")
    for wanted in (False, True):
        edit_profile(ports, user_id=str(ann), changes={"discoverable": wanted})
        assert (ann in found("ann")) is wanted
        assert (ann in found()) is wanted


def test_an_address_that_nobody_has_proved_leads_to_nobody(ports, person, found):
    person(name="Mallory", email="victim@example.com", findable_by_email=True, email_verified=False)
    assert found("victim@example.com") == []


def test_an_accent_makes_another_address(person, found):
    jose = person(name="José", email="josé@example.com", findable_by_email=True)
    assert found("jose@example.com") == []
    assert found("JOSÉ@example.com") == [jose]


def test_an_address_finds_only_who_allows_it_and_only_as_a_whole(person, found):
    open_one = person(name="Ann", email="Ann@Example.com", findable_by_email=True)
    person(name="Bob", email="bob@example.com")
    assert found("ann@example.com") == [open_one]
    assert found(" ANN@EXAMPLE.COM ") == [open_one]
    for query in ("bob@example.com", "ann@example", "nn@example.com", "ann@example.co", "example.com", "%@example.com"):
        assert found(query) == [], query
    for sort in ("newest", "name"):
        assert found("ann@example.com", sort=sort) == [open_one]


def test_a_field_that_is_not_for_everybody_leads_to_nobody(person, found):
    ann = person(
        name="Ann Example",
        handle="hidden_handle",
        bio="gardening",
        location="Zurich",
        website="https://ann.example",
        visibility={"handle": "followers", "display_name": "private"},
    )
    for query in ("ann", "an", "hidden", "hidden_handle", "gardening", "zurich", "ann.example"):
        assert found(query) == [], query
    assert found() == [ann]


def test_a_viewer_gets_the_fields_that_are_for_them(ports, person):
    ann = person(name="Ann Example", handle="ann_x", bio="gardening", email="ann@example.com")
    follower, stranger = str(person(name="Follower")), str(person(name="Stranger"))
    follow_user(ports, user_id=follower, target_id=str(ann))

    def names(viewer):
        (item,) = search_users(ports, query="ann_x", viewer_id=viewer).data
        return set(item)

    everybody = {"id", "handle", "display_name", "avatar_url", "private", "created_at"}
    assert names(None) == names(stranger) == everybody
    assert names(follower) == everybody | {"bio", "location", "website", "locale", "time_zone"}
    assert "email" in names(str(ann))


@pytest.mark.parametrize("sort", [None, "newest", "name"])
def test_any_text_finds_its_people_or_is_refused(ports, person, sort):
    person(name="Ann Example")
    searched = 0
    for name, text in NAUGHTY.items():
        try:
            page = search_users(ports, query=text, sort=sort)
        except InvalidQuery:
            continue
        searched += 1
        assert all(each["display_name"] == "Ann Example" for each in page.data), name
    assert searched > len(NAUGHTY) // 2

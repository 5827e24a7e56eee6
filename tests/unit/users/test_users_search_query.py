"""What somebody may look for, and what their words mean."""

from datetime import UTC, datetime

import pytest

from users_svc.domain.search_query import (
    InvalidQuery,
    InvalidSearchFilter,
    InvalidSort,
    SearchFilters,
    SearchQuery,
    proper_sort,
)


@pytest.mark.parametrize("typed", [None, "", " ", "\u3000", "\u200b", "@", " @ "])
def test_nothing_typed_looks_for_everybody(typed):
    query = SearchQuery.parse(typed)
    assert (query.email, query.prefix, query.words) == (None, False, ())
    assert not query.text


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("É", "e"),
        ("Ab", "ab"),
        ("@ann"[:3], "an"),
        ("王", "王"),
        ("李小", "李小"),
        ("%", "%"),
        ("__", "__"),
        ("a b", "a b"),
    ],
)
def test_less_than_three_letters_are_the_start_of_a_handle_or_name(typed, text):
    assert SearchQuery.parse(typed) == SearchQuery(text, prefix=True)


@pytest.mark.parametrize("typed", ["___", "a_b_c", "%%%%", "- - -", "🙂🙂🙂🙂"])
def test_a_text_without_three_letters_in_a_row_is_a_start_too(typed):
    """Nothing else leads to it: no trigram does, and without one the whole table would be read."""
    query = SearchQuery.parse(typed)
    assert query.prefix
    assert not query.words


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Ann", ("ann",)),
        ("  José  ÁLVAREZ ", ("jose", "alvarez")),
        ("@Ann_Example", ("ann_example",)),
        ("Ｆｕｌｌｗｉｄｔｈ", ("fullwidth",)),
        ("ann b", ("ann", "b")),
        ("ann ann ANN", ("ann",)),
        ("Straße", ("strasse",)),
        ("Москва", ("москва",)),
        ("日本語", ("日本語",)),
        ("a\u200bn\u200bn", ("ann",)),
        ("x'; DROP TABLE profiles; --", ("x';", "drop", "table", "profiles;", "--")),
    ],
)
def test_longer_texts_are_words(typed, words):
    query = SearchQuery.parse(typed)
    assert query.words == words
    assert not query.prefix
    assert query.email is None


@pytest.mark.parametrize("typed", ["Ann@Example.COM", " ann@example.com ", "a@b.cd", "ann+x@mail.example.co.uk"])
def test_an_address_is_looked_for_as_a_whole(typed):
    query = SearchQuery.parse(typed)
    assert query.email == typed.strip().lower()
    assert not query.prefix
    assert not query.words


@pytest.mark.parametrize(
    "typed", ["ann@", "@example.com", "ann@example", "ann smith@example.com", "ann@.", "example.com"]
)
def test_a_part_of_an_address_is_no_address(typed):
    assert SearchQuery.parse(typed).email is None


@pytest.mark.parametrize(
    "typed",
    [
        "x" * 255,
        "\ufdfa" * 20,
        "nul\0",
        "tab\tted",
        "lone\ud800surrogate",
        "one two three four five six seven eight nine",
        5,
        True,
        ["ann"],
        {"a": 1},
    ],
)
def test_what_cannot_be_looked_for_is_refused(typed):
    with pytest.raises(InvalidQuery) as caught:
        SearchQuery.parse(typed)
    assert caught.value.details["errors"][0]["pointer"] == "/query"


def test_the_longest_text_is_taken():
    assert SearchQuery.parse("x" * 254).words == ("x" * 254,)


@pytest.mark.parametrize(
    ("sort", "typed", "order"),
    [
        (None, "ann", "relevance"),
        (None, None, "newest"),
        ("relevance", "ann", "relevance"),
        ("newest", "ann", "newest"),
        ("newest", None, "newest"),
        ("name", "ann", "name"),
        ("name", None, "name"),
    ],
)
def test_the_order(sort, typed, order):
    assert proper_sort(sort, SearchQuery.parse(typed)) == order


@pytest.mark.parametrize(
    ("sort", "typed"),
    [("relevance", None), ("relevance", " "), ("", "ann"), ("id", "ann"), (5, "ann"), (["name"], None)],
)
def test_there_is_no_other_order(sort, typed):
    with pytest.raises(InvalidSort):
        proper_sort(sort, SearchQuery.parse(typed))


def test_a_filter_that_is_not_given_is_none():
    assert SearchFilters.parse(joined_after=None, joined_before=None, following=False) == SearchFilters()


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.5+02:00", datetime(2026, 1, 31, 10, 0, 0, 500000, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_day_or_a_moment(typed, moment):
    filters = SearchFilters.parse(joined_after=typed, joined_before=typed, following=True)
    assert filters == SearchFilters(joined_after=moment, joined_before=moment, following=True)


@pytest.mark.parametrize("typed", ["", "yesterday", "2026-02-30", "0001-01-01T00:00:00+01:00", 5, True, ["2026-01-31"]])
@pytest.mark.parametrize("name", ["joined_after", "joined_before"])
def test_what_is_no_time_is_refused(typed, name):
    filters = {"joined_after": None, "joined_before": None, "following": False, name: typed}
    with pytest.raises(InvalidSearchFilter) as caught:
        SearchFilters.parse(**filters)
    assert caught.value.details["errors"][0]["pointer"] == f"/{name}"


@pytest.mark.parametrize("value", [None, "true", 1])
def test_following_is_true_or_false(value):
    with pytest.raises(InvalidSearchFilter):
        SearchFilters.parse(joined_after=None, joined_before=None, following=value)

"""An amount in parts: nothing lost, nothing added, nobody a whole unit away from their share."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_svc.domain.money import MAX_AMOUNT, UnsplittableError, split

amounts = st.integers(0, MAX_AMOUNT)
weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any)


@pytest.mark.parametrize(
    "amount, among, parts",
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (101, [1, 1, 1], [34, 34, 33]),
        (1, [1, 1, 1], [1, 0, 0]),
        (0, [3, 1], [0, 0]),
        (10, [1], [10]),
        (10, [0, 1, 0], [0, 10, 0]),
        # The largest remainder comes first, wherever it stands: 2.4, 2.6 and 5.0.
        (10, [12, 13, 25], [2, 3, 5]),
        # 19 % tax of what is 1190 in all.
        (1190, [100, 19], [1000, 190]),
        # A month of 31 days, 10 of them used: 3.2258 and 6.7741.
        (10, [10, 21], [3, 7]),
        (MAX_AMOUNT, [1, 2], [333333333333, 666666666667]),
        # One yen, one thousandth of a dinar: the smallest unit of a currency is never broken.
        (500, [1, 1, 1], [167, 167, 166]),
        (1230, [1, 1, 1, 1], [308, 308, 307, 307]),
    ],
)
def test_what_is_left_over_goes_to_the_largest_remainders(amount, among, parts):
    assert split(amount, among) == parts


@given(amounts, weights)
def test_the_parts_add_up_to_the_whole(amount, among):
    parts = split(amount, among)
    assert sum(parts) == amount
    assert all(type(each) is int and each >= 0 for each in parts)


@given(amounts, weights)
def test_nobody_is_a_whole_unit_away_from_their_share(amount, among):
    for part, weight in zip(split(amount, among), among, strict=True):
        assert abs(part - Fraction(amount * weight, sum(among))) < 1
        assert weight or not part


@given(amounts, weights)
def test_who_has_more_weight_gets_no_less(amount, among):
    parts = split(amount, among)
    ordered = sorted(range(len(among)), key=lambda index: among[index])
    for less, more in pairwise(ordered):
        assert among[less] == among[more] or parts[less] <= parts[more]


@given(amounts, weights)
def test_among_equals_the_first_come_first_and_the_answer_is_always_the_same(amount, among):
    parts = split(amount, among)
    assert parts == split(amount, list(among))
    for weight in set(among):
        equals = [part for part, each in zip(parts, among, strict=True) if each == weight]
        assert equals == sorted(equals, reverse=True)


@given(amounts, weights, st.integers(2, 1000))
def test_only_the_proportions_count(amount, among, factor):
    assert split(amount, among) == split(amount, [each * factor for each in among])


@pytest.mark.parametrize(
    "amount, among",
    [
        (-1, [1]),
        (10, []),
        (10, [0, 0]),
        (10, [1, -1]),
        (10.0, [1, 1]),
        (10, [0.5, 0.5]),
        (10, [1, True]),
        (True, [1]),
        ("10", [1]),
        (10, [1, None]),
    ],
)
def test_what_cannot_be_split_is_refused(amount, among):
    with pytest.raises(UnsplittableError):
        split(amount, among)

"""The bytes of a row: two rows have the same if and only if they say the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql as pg

from lib.canonical import canonical, canonical_column

# Few letters, so that pairs are often nearly the same.
names = st.text(alphabet="abi", min_size=1, max_size=3)
simple = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.decimals(allow_nan=False, places=2, min_value=-9, max_value=9),
    st.text(alphabet="ab1\x00é", max_size=3),
    st.binary(max_size=3),
    st.uuids(),
)
rows = st.dictionaries(names, simple | st.lists(simple, max_size=3), max_size=3)


def meaning(value: Any) -> Any:
    """Tell apart what Python takes for equal: 1, True and Decimal(1)."""
    return (type(value), [meaning(each) for each in value]) if isinstance(value, list) else (type(value), value)


def said(row: dict[str, Any]) -> Any:
    return {name: meaning(value) for name, value in row.items() if value is not None}


@given(rows, rows)
def test_the_same_bytes_mean_the_same_row(one, other):
    assert (canonical(one) == canonical(other)) == (said(one) == said(other))


@given(rows, st.randoms())
def test_the_order_of_the_columns_is_nothing(row, random):
    items = list(row.items())
    random.shuffle(items)
    assert canonical(dict(items)) == canonical(row)


@given(rows)
def test_a_column_that_is_null_is_as_good_as_none(row):
    assert canonical({**row, "added_later": None}) == canonical(row)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "bc"}, {"ab": "c"}),
        ({"a": "b", "c": "d"}, {"a": "bcd"}),
        ({"a": ""}, {}),
        ({"a": ["x", "y"]}, {"a": ["xy"]}),
        ({"a": [["x"], "y"]}, {"a": [["x", "y"]]}),
        ({"a": []}, {}),
        ({"a": [None]}, {"a": []}),
        ({"a": "1"}, {"a": 1}),
        ({"a": 1}, {"a": True}),
        ({"a": b"x"}, {"a": "x"}),
        ({"a": UUID(int=0)}, {"a": bytes(16)}),
        ({"a": Decimal("1e2")}, {"a": Decimal("1e3")}),
        ({"a": Decimal("Infinity")}, {"a": Decimal("-Infinity")}),
    ],
)
def test_rows_that_could_be_taken_for_each_other(one, other):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("1.50"), Decimal("1.5")),
        (Decimal("1.00"), Decimal("1")),
        (Decimal("-0.0"), Decimal("0")),
        (Decimal("1E+2"), Decimal("100")),
        (b"x", memoryview(b"x")),
        (["x"], ("x",)),
    ],
)
def test_what_the_driver_may_say_in_two_ways(one, other):
    assert canonical({"a": one}) == canonical({"a": other})


def test_a_golden_sample():
    """Whoever changes this breaks every chain there is."""
    row = {"id": UUID(int=1), "at": Decimal("1.500000"), "kind": "é", "n": None, "ok": True, "x": b"\0", "l": [1, "a"]}
    assert canonical(row).hex() == (
        "00000000000000026174" "00000000000000046e312e35"
        "00000000000000026964" "000000000000001175" "00000000000000000000000000000001"
        "00000000000000046b696e64" "000000000000000373c3a9"
        "00000000000000016c" "000000000000001561" "00000000000000026931" "00000000000000027361"
        "00000000000000026f6b" "00000000000000026231"
        "000000000000000178" "00000000000000027800"
    )  # fmt: skip


@pytest.mark.parametrize("value", [1.5, {"a": 1}, object()])
def test_a_value_without_a_certain_form_is_refused(value):
    with pytest.raises(TypeError):
        canonical({"a": value})


class Shouted(sa.TypeDecorator[str]):
    impl, cache_ok = sa.Text, True


@pytest.mark.parametrize(
    "kind",
    [
        sa.Text(),
        sa.String(5),
        Shouted(),
        sa.Boolean(),
        sa.BigInteger(),
        sa.Numeric(10, 2),
        sa.LargeBinary(),
        pg.UUID(as_uuid=True),
        pg.JSONB(),
        pg.INET(),
        sa.DateTime(timezone=True),
        sa.Date(),
        pg.ARRAY(sa.Text),
    ],
)
def test_a_type_that_can_be_sealed(kind):
    assert canonical_column(sa.Column("a", kind)) is not None


@pytest.mark.parametrize(
    "kind", [sa.Float(), pg.DOUBLE_PRECISION(), pg.INTERVAL(), sa.Time(), pg.ARRAY(sa.DateTime(timezone=True))]
)
def test_a_type_that_cannot_be_sealed_is_refused_by_its_column(kind):
    with pytest.raises(TypeError, match="some_column"):
        canonical_column(sa.Column("some_column", kind))

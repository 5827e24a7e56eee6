"""Identifiers sort by the time of their making; times are UTC and say so."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from lib.ids import milliseconds_of, moment_of, new_id, new_id_after, rfc3339, utc_now


def test_ids_are_version_7_distinct_and_in_the_order_of_their_making():
    made = [new_id() for _ in range(1000)]
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}
    assert len(set(made)) == 1000
    assert made == sorted(made)
    assert [str(each) for each in made] == sorted(str(each) for each in made)


def test_an_id_begins_with_the_time_in_milliseconds():
    before = int(utc_now().timestamp() * 1000)
    # Ids of one millisecond are given the next ones, so that they sort: a burst runs a little ahead of the clock.
    assert before <= new_id().int >> 80 < before + 60_000


def test_now_knows_its_zone():
    assert utc_now().utcoffset() == timedelta(0)


moments = st.datetimes(datetime(1900, 1, 2), datetime(9998, 12, 30))
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, zones)
def test_a_moment_is_written_in_utc_and_read_back_as_the_same_moment(moment, zone):
    aware = moment.replace(tzinfo=zone)
    written = rfc3339(aware)
    assert written.endswith("Z")
    assert "+" not in written
    assert datetime.fromisoformat(written) == aware


def test_the_form_is_the_documented_one():
    assert rfc3339(datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)) == "2026-01-31T12:00:00.123456Z"
    assert rfc3339(datetime(2026, 1, 31, 12, 0, 0, 0, UTC)) == "2026-01-31T12:00:00Z"


@given(st.timedeltas(timedelta(days=-1), timedelta(days=365)))
def test_an_id_after_a_moment_is_later_than_it_whatever_the_clock_says(offset):
    moment = utc_now() + offset
    made = new_id_after(moment)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert milliseconds_of(made) > int(moment.timestamp() * 1000)
    assert moment_of(made) > moment
    assert new_id_after(None).version == 7


def test_only_an_id_of_this_kind_tells_its_time():
    now = utc_now()
    assert timedelta(0) <= moment_of(new_id()) - now + timedelta(milliseconds=1) < timedelta(minutes=1)
    assert milliseconds_of(UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c8")) == 0

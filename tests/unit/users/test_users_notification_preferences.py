"""Who is told of what, by which channel, and when mails may go out: quiet hours in any zone, whatever its clocks do."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from users_svc.domain.notification_preferences import (
    InvalidUnsubscribeToken,
    NotificationPreferences,
    QuietHours,
    without_mails,
)
from users_svc.domain.notification_types import CHANNELS, TYPES

ZONES = sorted(available_timezones() - {"localtime"})
MINUTE = timedelta(minutes=1)
WALL_TIMES = st.times().map(lambda each: each.replace(second=0, microsecond=0))


def quiet(start="22:00", stop="07:00", *, enabled=True):
    return NotificationPreferences.of({"quiet_hours": {"enabled": enabled, "from": start, "to": stop}})


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- the matrix ---


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("channel", CHANNELS)
def test_the_matrix_is_honoured(type_name, channel):
    kind = TYPES[type_name]
    assert NotificationPreferences.of({}).wants(type_name, channel) is (channel in kind.by_default)
    for chosen in (True, False):
        wanted = NotificationPreferences.of({"types": {type_name: {channel: chosen}}})
        assert wanted.wants(type_name, channel) is ((channel in kind.by_default) if kind.security else chosen)
        for other in TYPES:
            for each in CHANNELS:
                if (other, each) != (type_name, channel):
                    assert wanted.wants(other, each) is (each in TYPES[other].by_default)


@pytest.mark.parametrize("type_name", [each.name for each in TYPES.values() if each.security])
def test_security_notices_are_always_shown(type_name):
    chosen = {"types": {type_name: {"in_app": False, "email": False}}}
    preferences = NotificationPreferences.of(chosen)
    assert preferences.wants(type_name, "in_app")
    # By auth_svc, or from here: there is a mail, and the preferences say so.
    assert preferences.wants(type_name, "email")
    assert preferences.values["types"][type_name] == {"in_app": True, "email": True}


def test_the_mails_of_one_type_can_be_ended():
    assert without_mails("payment_succeeded") == {"types": {"payment_succeeded": {"email": False}}}


@pytest.mark.parametrize("type_name", ["password_changed", "login_locked", "unheard_of", ""])
def test_no_others_can(type_name):
    with pytest.raises(InvalidUnsubscribeToken):
        without_mails(type_name)


# --- quiet hours ---


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-01-31T21:59:59.999999", "2026-01-31T21:59:59.999999"),
        ("2026-01-31T22:00:00", "2026-02-01T07:00:00"),
        ("2026-01-31T23:59:59.999999", "2026-02-01T07:00:00"),
        ("2026-02-01T00:00:00", "2026-02-01T07:00:00"),
        ("2026-02-01T06:59:59.999999", "2026-02-01T07:00:00"),
        ("2026-02-01T07:00:00", "2026-02-01T07:00:00"),
        ("2026-12-31T23:00:00", "2027-01-01T07:00:00"),
        ("2028-02-28T23:00:00", "2028-02-29T07:00:00"),
    ],
)
def test_quiet_hours_over_midnight(now, due):
    assert quiet().mail_due(utc(now), None) == utc(due)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-01-31T11:59", "2026-01-31T11:59"),
        ("2026-01-31T12:00", "2026-01-31T14:00"),
        ("2026-01-31T13:59", "2026-01-31T14:00"),
        ("2026-01-31T14:00", "2026-01-31T14:00"),
    ],
)
def test_quiet_hours_within_a_day(now, due):
    assert quiet("12:00", "14:00").mail_due(utc(now), "UTC") == utc(due)


def test_quiet_hours_are_off_until_they_are_switched_on():
    midnight = utc("2026-02-01T00:00")
    assert NotificationPreferences.of({}).mail_due(midnight, "Europe/Zurich") == midnight
    assert quiet(enabled=False).mail_due(midnight, "Europe/Zurich") == midnight
    assert quiet("05:00", "05:00").mail_due(utc("2026-02-01T05:00"), None) == utc("2026-02-01T05:00")


def test_it_is_quiet_where_the_person_lives():
    now = utc("2026-01-31T12:00")
    assert quiet().mail_due(now, "Europe/Zurich") == now
    assert quiet().mail_due(now, "Asia/Tokyo") == now
    assert quiet().mail_due(now, "Pacific/Auckland") == utc("2026-01-31T18:00")
    assert quiet().mail_due(now, "America/Los_Angeles") == utc("2026-01-31T15:00")
    assert quiet().mail_due(now, "Asia/Kathmandu") == now


@pytest.mark.parametrize("name", [None, "Mars/Olympus", "", "America", "../../etc/passwd", "/etc/passwd", "a\0b"])
def test_a_zone_that_nobody_knows_is_utc(name):
    assert quiet().mail_due(utc("2026-02-01T00:00"), name) == utc("2026-02-01T07:00")


@pytest.mark.parametrize(
    ("start", "stop", "now", "due"),
    [
        # Zurich's clocks jump from 2:00 to 3:00 at 1:00 UTC on 2026-03-29: the night is an hour shorter.
        ("22:00", "07:00", "2026-03-28T23:00", "2026-03-29T05:00"),
        # 2:30 does not come: the quiet hours end when it is skipped.
        ("22:00", "02:30", "2026-03-29T00:59", "2026-03-29T01:00"),
        ("22:00", "02:30", "2026-03-28T21:00", "2026-03-29T01:00"),
        # They begin in what is skipped: from then on it is quiet.
        ("02:30", "07:00", "2026-03-29T01:00", "2026-03-29T05:00"),
        # Their whole time is skipped.
        ("02:00", "03:00", "2026-03-29T00:59", "2026-03-29T00:59"),
        ("02:00", "03:00", "2026-03-29T01:00", "2026-03-29T01:00"),
        # They go back from 3:00 to 2:00 at 1:00 UTC on 2026-10-25: the night is an hour longer.
        ("22:00", "07:00", "2026-10-24T22:00", "2026-10-25T06:00"),
        # 2:30 comes twice: the first one is the end, and between 2:00 and 2:30 it is quiet once more.
        ("22:00", "02:30", "2026-10-24T23:00", "2026-10-25T00:30"),
        ("22:00", "02:30", "2026-10-25T00:45", "2026-10-25T00:45"),
        ("22:00", "02:30", "2026-10-25T01:10", "2026-10-25T01:30"),
        # 3:00 is put back by an hour just before it comes.
        ("22:00", "03:00", "2026-10-25T00:30", "2026-10-25T02:00"),
    ],
)
def test_the_clocks_are_changed(start, stop, now, due):
    assert quiet(start, stop).mail_due(utc(now), "Europe/Zurich") == utc(due)


def test_a_day_that_never_was():
    """Samoa had no 30 December 2011: its clocks went from the 29th, 24:00, to the 31st."""
    assert quiet("22:00", "07:00").mail_due(utc("2011-12-30T09:00"), "Pacific/Apia") == utc("2011-12-30T17:00")


def wall(moment, zone):
    return moment.astimezone(zone).time()


def change_after(zone, moment):
    """Return a moment of the day before the clocks are changed, within a year after `moment`; else `moment`."""
    offset = moment.astimezone(zone).utcoffset()
    days = (moment + timedelta(days=day) for day in range(0, 366, 7))
    week = next((each for each in days if each.astimezone(zone).utcoffset() != offset), None)
    if week is None:
        return moment
    while week.astimezone(zone).utcoffset() != offset:
        week -= timedelta(days=1)
    return week


@settings(deadline=None)
@given(
    name=st.sampled_from(ZONES),
    start=WALL_TIMES,
    stop=WALL_TIMES,
    now=st.datetimes(datetime(1975, 1, 1), datetime(2060, 1, 1)),
    about_a_change=st.booleans(),
    hours=st.integers(0, 24),
)
@example("Europe/Zurich", time(22), time(2, 30), datetime(2026, 3, 28, 22, 0, 0, 1), False, 0)
@example("Pacific/Apia", time(22), time(7), datetime(2011, 12, 30, 9, 59, 59, 999999), False, 0)
@example("Australia/Lord_Howe", time(1, 45), time(1, 40), datetime(2026, 4, 4, 14, 50), False, 0)
@example("America/St_Johns", time(0, 0), time(23, 30), datetime(2005, 10, 30, 2, 30), False, 0)
def test_a_mail_goes_out_at_the_first_moment_that_is_not_quiet(name, start, stop, now, about_a_change, hours):
    zone, hold = ZoneInfo(name), QuietHours(start, stop).hold
    now = now.replace(tzinfo=UTC)
    if about_a_change:
        now = change_after(zone, now) + timedelta(hours=hours)
    due = quiet(f"{start:%H:%M}", f"{stop:%H:%M}").mail_due(now, name)
    # It is not quiet then, and it was until then: every minute between is looked at, and the last moment.
    assert due >= now
    assert not hold(wall(due, zone))
    if due > now:
        assert due - now <= timedelta(hours=50)
        moment = now
        while moment < due:
            assert hold(wall(moment, zone)), moment
            moment += MINUTE
        assert hold(wall(due - timedelta(microseconds=1), zone))


@settings(deadline=None)
@given(start=WALL_TIMES, stop=WALL_TIMES, moment=st.times())
def test_quiet_hours_and_the_rest_make_a_day(start, stop, moment):
    """What is quiet from one time to the other is loud from the other to the one, unless no time is quiet at all."""
    if start == stop:
        assert not QuietHours(start, stop).hold(moment)
    else:
        assert QuietHours(start, stop).hold(moment) != QuietHours(stop, start).hold(moment)

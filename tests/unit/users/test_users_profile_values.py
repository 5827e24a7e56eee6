"""What may stand in the fields of a profile that are no free text: days, languages, zones, switches, audiences."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from tests.unit.users.test_users_profile_fields import TODAY, kept, problem, refused
from users_svc.domain.profile_edit import ProfileEdit


@pytest.mark.parametrize("day", ["1900-01-01", "1990-02-28", "2024-02-29", "2026-01-30"])
def test_a_birth_date_is_a_real_day_of_the_past(day):
    assert kept("birth_date", day) == date.fromisoformat(day)


@pytest.mark.parametrize(
    "day",
    [
        "1899-12-31",
        "2026-01-31",
        "2026-02-01",
        "1990-02-30",
        "2023-02-29",
        "19900228",
        "1990-W01-1",
        "1990-2-8",
        "1990-02-28T00:00:00",
        "\u0661\u0669\u0669\u0660-02-28",
        "0000-00-00",
        "",
        5,
        ["1990-01-01"],
    ],
)
def test_no_other_birth_date(day):
    assert problem("birth_date", day) == "invalid_date"


@pytest.mark.parametrize("tag", ["de", "de-CH", "zh-Hant-TW", "es-419", "sl-rozaj-biske", "de-DE-u-co-phonebk", "gsw"])
def test_a_locale_has_the_form_of_a_language_tag(tag):
    assert kept("locale", tag) == tag


@pytest.mark.parametrize(
    "tag", ["", "d", "de_CH", "de-", "-de", "de--CH", "de-CH\n", "a" * 36, "1x", "de-u", 5, "\x00"]
)
def test_no_other_locale(tag):
    assert problem("locale", tag) == "invalid_locale"


@pytest.mark.parametrize("zone", ["Europe/Zurich", "UTC", "America/Argentina/Buenos_Aires"])
def test_a_time_zone_is_one_that_there_is(zone):
    assert ZoneInfo(kept("time_zone", zone)).key == zone


@pytest.mark.parametrize(
    "zone", ["Europe", "Europe/Atlantis", "europe/zurich", "../../etc/passwd", "/etc/localtime", "", "\x00", 1]
)
def test_no_other_time_zone(zone):
    assert problem("time_zone", zone) == "invalid_time_zone"


@pytest.mark.parametrize("name", ["discoverable", "private", "findable_by_email"])
def test_a_switch_is_on_or_off(name):
    assert [kept(name, each) for each in (True, False)] == [True, False]
    for value in (1, 0, "true", [], {}):
        assert problem(name, value) == "invalid_type"


def test_audiences_are_those_that_there_are_of_fields_that_are_shown():
    everything = {"handle": "private", "email": "public", "bio": None}
    assert ProfileEdit.of({"visibility": everything}, today=TODAY).visibility == everything
    assert refused({"visibility": {"bio": "friends"}}) == {("/visibility/bio", "unknown_value")}
    assert refused({"visibility": {"id": "public"}}) == {("/visibility/id", "unknown_field")}
    assert refused({"visibility": {"a/b~": "public"}}) == {("/visibility/a~1b~0", "unknown_field")}
    assert refused({"visibility": {"email": ["public"]}}) == {("/visibility/email", "unknown_value")}
    assert refused({"visibility": "public"}) == {("/visibility", "invalid_type")}

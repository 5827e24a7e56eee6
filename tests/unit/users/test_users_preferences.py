"""Typed records: defaults, merge patches (RFC 7396), versions; and what each kind lets people choose."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import Invalid
from lib.ids import new_id
from users_svc.domain.notification_preferences import NOTIFICATION_PREFERENCES
from users_svc.domain.notification_types import TYPES
from users_svc.domain.preference_records import (
    MOST_ERRORS,
    Choice,
    InvalidPreference,
    Kind,
    NotOptional,
    PreferenceRecord,
    PreferencesChanged,
    UnknownField,
    flag,
    whole,
)
from users_svc.domain.preferences import KINDS, PREFERENCES, SETTINGS, UnknownKind, parse_kind

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
EACH = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)

#: by the way to a value, what somebody may choose there
GOOD = {
    ("theme",): st.sampled_from(["system", "light", "dark"]),
    ("language",): st.sampled_from(["en", "de-CH", "zh-Hant-TW", "es-419", "sl-rozaj", "de-1996"]),
    ("time_format",): st.sampled_from(["12h", "24h"]),
    ("date_format",): st.sampled_from(["YYYY-MM-DD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY"]),
    ("start_of_week",): st.sampled_from(["monday", "saturday", "sunday"]),
    ("items_per_page",): st.integers(1, 100),
    ("allow_mentions_from",): st.sampled_from(["everyone", "followers", "nobody"]),
    ("quiet_hours", "from"): st.times().map(lambda each: f"{each:%H:%M}"),
    ("quiet_hours", "to"): st.times().map(lambda each: f"{each:%H:%M}"),
}


def patches_of(shape, way=()):
    """Return a strategy of merge patches that break no rule."""
    members = {}
    for name, part in shape.items():
        here = (*way, name)
        if not isinstance(part, Choice):
            good = patches_of(part, here)
        elif part.fixed:
            good = st.just(part.default)
        else:
            good = GOOD.get(here, st.booleans())
        members[name] = st.none() | good
    return st.fixed_dictionaries({}, optional=members)


def anything():
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )


def by_the_book(target, patch):
    """MergePatch of RFC 7396, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = by_the_book(target.get(name), value)
    return target


def leaves(data, way=()):
    """Return the values of nested objects by the way to them; empty objects are nothing."""
    found = {}
    for name, value in data.items():
        found |= leaves(value, (*way, name)) if isinstance(value, dict) else {(*way, name): value}
    return found


def choices(shape, way=()):
    found = {}
    for name, part in shape.items():
        found |= {(*way, name): part} if isinstance(part, Choice) else choices(part, (*way, name))
    return found


def record(kind=PREFERENCES, **fields):
    return PreferenceRecord(new_id(), kind, **fields)


# --- properties of every kind ---


@EACH
@settings(deadline=None)
@given(st.data())
def test_a_patch_does_what_the_rfc_says(kind, data):
    chosen, patch = {}, {}
    for _ in range(3):
        patch = data.draw(patches_of(kind.shape))
        before, chosen = chosen, kind.merged(chosen, patch)
        fixed = {way for way, each in choices(kind.shape).items() if each.fixed}
        expected = {way: value for way, value in leaves(by_the_book(before, patch)).items() if way not in fixed}
        assert leaves(chosen) == expected
    assert kind.merged(chosen, patch) == chosen


@EACH
@settings(deadline=None)
@given(st.data())
def test_null_goes_back_to_the_default(kind, data):
    chosen = kind.merged({}, data.draw(patches_of(kind.shape)))
    name = data.draw(st.sampled_from(sorted(kind.shape)))
    reset = kind.merged(chosen, {name: None})
    assert kind.values(reset)[name] == kind.values({})[name]
    others = {each: value for each, value in kind.values(chosen).items() if each != name}
    assert {each: value for each, value in kind.values(reset).items() if each != name} == others
    assert kind.merged(chosen, dict.fromkeys(kind.shape)) == {}


@EACH
@settings(deadline=None)
@given(st.data())
def test_an_unknown_key_is_refused_wherever_it_stands(kind, data):
    patch = data.draw(patches_of(kind.shape))
    objects = [patch, *(each for each in patch.values() if isinstance(each, dict))]
    name = data.draw(st.text().filter(lambda each: each not in kind.shape and each not in ("enabled", "from", "to")))
    place = data.draw(st.sampled_from(range(len(objects))))
    if name in TYPES:
        return
    objects[place][name] = data.draw(anything())
    with pytest.raises(UnknownField) as caught:
        kind.merged({}, patch)
    assert caught.value.details["errors"][0]["code"] == "unknown_field"


@EACH
@settings(deadline=None)
@given(chosen=st.dictionaries(st.text(), anything(), max_size=3), patch=anything())
def test_anything_is_taken_or_refused_in_words(kind, chosen, patch):
    """What is kept may be older or newer than this code; what is sent may be anything."""
    merged = chosen
    with suppress(Invalid):
        merged = kind.merged(chosen, patch)
    strange = {name: value for name, value in chosen.items() if name not in kind.shape}
    assert {name: merged.get(name) for name in strange} == strange
    assert choices(kind.shape).keys() == leaves(kind.values(chosen)).keys()


@EACH
@settings(deadline=None)
@given(st.data())
def test_what_was_read_can_be_sent_back(kind, data):
    chosen = kind.merged({}, data.draw(patches_of(kind.shape)))
    values = kind.values(chosen)
    assert kind.values(kind.merged(chosen, values)) == values


@EACH
def test_every_default_is_a_value_of_its_own_kind(kind):
    for way, choice in choices(kind.shape).items():
        assert choice.check(choice.default) == choice.default, way


# --- single cases ---


def test_who_has_chosen_nothing_has_the_defaults():
    assert record().values() == {
        "theme": "system",
        "language": "en",
        "time_format": "24h",
        "date_format": "YYYY-MM-DD",
        "start_of_week": "monday",
        "items_per_page": 20,
    }
    assert record(SETTINGS).values() == {
        "show_online": True,
        "allow_mentions_from": "everyone",
        "auto_accept_follow_requests": False,
        "hide_network": False,
    }


@pytest.mark.parametrize(
    ("kind", "patch", "pointer", "code"),
    [
        (PREFERENCES, {"theme": "pink"}, "/theme", "unknown_value"),
        (PREFERENCES, {"theme": 1}, "/theme", "invalid_type"),
        (PREFERENCES, {"theme": ["dark"]}, "/theme", "invalid_type"),
        (PREFERENCES, {"items_per_page": 0}, "/items_per_page", "out_of_range"),
        (PREFERENCES, {"items_per_page": 101}, "/items_per_page", "out_of_range"),
        (PREFERENCES, {"items_per_page": True}, "/items_per_page", "invalid_type"),
        (PREFERENCES, {"items_per_page": 20.0}, "/items_per_page", "invalid_type"),
        (PREFERENCES, {"items_per_page": "20"}, "/items_per_page", "invalid_type"),
        (PREFERENCES, {"language": "e"}, "/language", "invalid_language"),
        (PREFERENCES, {"language": "de_CH"}, "/language", "invalid_language"),
        (PREFERENCES, {"language": "en\n"}, "/language", "invalid_language"),
        (PREFERENCES, {"language": "\u0435n"}, "/language", "invalid_language"),
        (PREFERENCES, {"language": "en-" + "-".join(["abcdefgh"] * 10)}, "/language", "invalid_language"),
        (PREFERENCES, {"language": 5}, "/language", "invalid_type"),
        (PREFERENCES, [], "", "invalid_type"),
        (PREFERENCES, "dark", "", "invalid_type"),
        (SETTINGS, {"show_online": 1}, "/show_online", "invalid_type"),
        (SETTINGS, {"show_online": "true"}, "/show_online", "invalid_type"),
        (NOTIFICATION_PREFERENCES, {"quiet_hours": True}, "/quiet_hours", "invalid_type"),
        (NOTIFICATION_PREFERENCES, {"quiet_hours": {"from": "24:00"}}, "/quiet_hours/from", "invalid_time"),
        (NOTIFICATION_PREFERENCES, {"quiet_hours": {"from": "9:00"}}, "/quiet_hours/from", "invalid_time"),
        (NOTIFICATION_PREFERENCES, {"quiet_hours": {"to": "07:00:00"}}, "/quiet_hours/to", "invalid_time"),
        (NOTIFICATION_PREFERENCES, {"quiet_hours": {"to": "07:0\u0660"}}, "/quiet_hours/to", "invalid_time"),
        (NOTIFICATION_PREFERENCES, {"types": {"followed": False}}, "/types/followed", "invalid_type"),
        (NOTIFICATION_PREFERENCES, {"types": {"followed": {"email": 0}}}, "/types/followed/email", "invalid_type"),
    ],
)
def test_a_wrong_value_is_refused_where_it_stands(kind, patch, pointer, code):
    with pytest.raises(InvalidPreference) as caught:
        kind.merged({}, patch)
    (error,) = caught.value.details["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"colour": "red"}, "/colour"),
        ({"Theme": "dark"}, "/Theme"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"colour": None}, "/colour"),
        ({"x" * 1_000_000: 1}, "/" + "x" * 100),
        ({5: 1}, "/5"),
    ],
)
def test_an_unknown_key_is_named(patch, pointer):
    with pytest.raises(UnknownField) as caught:
        PREFERENCES.merged({}, patch)
    (error,) = caught.value.details["errors"]
    assert (error["pointer"], error["code"]) == (pointer, "unknown_field")


def test_all_that_is_wrong_is_told_up_to_a_limit():
    with pytest.raises(InvalidPreference) as caught:
        PREFERENCES.merged({}, {"theme": 1, "colour": 1, "language": ""})
    assert [each["pointer"] for each in caught.value.details["errors"]] == ["/theme", "/colour", "/language"]
    with pytest.raises(UnknownField) as caught:
        PREFERENCES.merged({}, {str(number): 1 for number in range(10_000)})
    assert len(caught.value.details["errors"]) == MOST_ERRORS


@pytest.mark.parametrize(
    ("tag", "kept"), [("EN", "en"), ("de-ch", "de-CH"), ("zh-hANT-tw", "zh-Hant-TW"), ("sl-ROZAJ", "sl-rozaj")]
)
def test_a_language_is_kept_in_the_usual_case(tag, kept):
    assert PREFERENCES.merged({}, {"language": tag}) == {"language": kept}


def test_what_no_longer_is_a_choice_is_read_as_the_default():
    assert PREFERENCES.values({"theme": "pink", "items_per_page": 1000, "gone": 1}) == PREFERENCES.values({})
    assert NOTIFICATION_PREFERENCES.values({"types": 5, "quiet_hours": []}) == NOTIFICATION_PREFERENCES.values({})


def test_security_notices_are_not_for_anybody_to_choose():
    shown = NOTIFICATION_PREFERENCES.values({"types": {"password_changed": {"in_app": False, "email": False}}})
    assert shown["types"]["password_changed"] == {"in_app": True, "email": True}


@pytest.mark.parametrize("type_name", [each.name for each in TYPES.values() if each.security])
def test_a_security_notice_cannot_be_switched_off(type_name):
    for patch in ({"in_app": False}, {"email": False}):
        with pytest.raises(NotOptional) as caught:
            NOTIFICATION_PREFERENCES.merged({}, {"types": {type_name: patch}})
        (error,) = caught.value.details["errors"]
        assert error["code"] == "not_optional"
        assert error["pointer"] == f"/types/{type_name}/{next(iter(patch))}"


def test_a_kind_is_known_by_its_name():
    assert [parse_kind(name) for name in KINDS] == [PREFERENCES, SETTINGS, NOTIFICATION_PREFERENCES]
    for name in ("", "Preferences", None, 5, ["settings"]):
        with pytest.raises(UnknownKind):
            parse_kind(name)


# --- records ---


def test_a_change_counts_and_tells_when():
    changed = record()
    assert changed.change({"theme": "dark"}, now=NOON)
    assert (changed.chosen, changed.version, changed.updated_at) == ({"theme": "dark"}, 1, NOON)
    assert changed.change({"theme": None}, now=NOON, expected_version=1)
    assert (changed.chosen, changed.version) == ({}, 2)


@pytest.mark.parametrize("patch", [{}, {"theme": "dark"}, {"language": None}])
def test_what_changes_nothing_counts_for_nothing(patch):
    same = record(chosen={"theme": "dark"}, version=3, updated_at=NOON)
    assert not same.change(patch, now=datetime.now(UTC))
    assert (same.chosen, same.version, same.updated_at) == ({"theme": "dark"}, 3, NOON)


@pytest.mark.parametrize("version", [0, 2, -1, "1"])
def test_a_decision_on_another_version_is_refused(version):
    changed = record(version=1, chosen={"theme": "dark"})
    with pytest.raises(PreferencesChanged):
        changed.change({"theme": "light"}, now=NOON, expected_version=version)
    assert (changed.chosen, changed.version) == ({"theme": "dark"}, 1)


def test_a_refused_change_changes_nothing():
    changed = record(chosen={"theme": "dark"}, version=1)
    with pytest.raises(InvalidPreference):
        changed.change({"theme": "light", "items_per_page": 0}, now=NOON)
    assert (changed.chosen, changed.version) == ({"theme": "dark"}, 1)


NEWER = Kind(
    "preferences",
    {"lines": Choice(20, whole(1, 100)), "dark": Choice(False, flag)},
    schema_version=3,
    upgrades={
        1: lambda chosen: {"dark" if name == "theme" else name: value == "dark" for name, value in chosen.items()},
        2: lambda chosen: {**chosen, "lines": 5},
    },
)


@pytest.mark.parametrize(
    ("version", "chosen", "values"),
    [
        (1, {"theme": "dark"}, {"lines": 5, "dark": True}),
        (2, {"dark": True}, {"lines": 5, "dark": True}),
        (3, {"dark": True}, {"lines": 20, "dark": True}),
    ],
)
def test_an_older_record_is_read_in_todays_words(version, chosen, values):
    old = record(NEWER, schema_version=version, chosen=chosen)
    assert (old.values(), old.schema_version) == (values, 3)


def test_what_a_newer_version_keeps_is_left_alone():
    """Two versions of the service run beside each other while it is brought up to date."""
    newer = record(schema_version=9, chosen={"theme": "dark", "density": "high"})
    assert newer.change({"theme": "light"}, now=NOON)
    assert (newer.chosen, newer.schema_version) == ({"theme": "light", "density": "high"}, 9)
    assert "density" not in newer.values()

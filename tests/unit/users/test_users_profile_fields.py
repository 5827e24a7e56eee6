"""What may stand in each field of a profile, and what an owner is told about the rest."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.naughty import ENGLAND, FAMILY, NAUGHTY
from users_svc.domain.invisible import without_invisible
from users_svc.domain.profile_edit import InvalidProfile, ProfileEdit
from users_svc.domain.text import clean_name, fitted_name

TODAY = date(2026, 1, 31)


def kept(name, value):
    """Return a value as it would be kept."""
    return ProfileEdit.of({name: value}, today=TODAY).values[name]


def refused(changes):
    with pytest.raises(InvalidProfile) as refusal:
        ProfileEdit.of(changes, today=TODAY)
    assert (refusal.value.kind, refusal.value.code) == ("invalid", "invalid_profile")
    return {(each["pointer"], each["code"]) for each in refusal.value.details["errors"]}


def problem(name, value):
    ((pointer, code),) = refused({name: value})
    assert pointer == f"/{name}"
    return code


# --- names and places ---


@pytest.mark.parametrize("name", ["display_name", "location"])
@pytest.mark.parametrize(
    "typed, stored",
    [
        ("  Ann  ", "Ann"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("A\u200bn\u2060n\ufeff", "Ann"),
        ("\u202eAnn\u202c", "Ann"),
        ("\u2067Ann\u2069\u200f", "Ann"),
        ("So\u00adfie", "Sofie"),
        (FAMILY, FAMILY),
        (ENGLAND, ENGLAND),
        ("1\ufe0f\u20e3", "1\ufe0f\u20e3"),
        ("\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f3f3\ufe0f\u200d\U0001f308"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
        ("\u845b\U000e0100", "\u845b\U000e0100"),
        ("<b>Ann</b>", "<b>Ann</b>"),
    ],
)
def test_a_line_is_kept_without_what_nobody_sees(name, typed, stored):
    assert kept(name, typed) == stored


@pytest.mark.parametrize("character", ["\x00", "\n", "\t", "\x7f", "\x9b", "\ud800", "\u2028", "\u2029", "\x85"])
@pytest.mark.parametrize("name", ["display_name", "location"])
def test_a_line_has_no_controls(name, character):
    assert problem(name, f"A{character}n") == "invalid_characters"


@pytest.mark.parametrize(
    "name, longest, too_many_bytes, too_many_characters",
    [
        # Each third text is short enough to read: only bytes, or only code points, are too many.
        ("display_name", 64, "\U0001f44d\U0001f3fd" * 41, "x\u0323\u0301" * 34),
        ("location", 100, "\U0001f44d\U0001f3fd" * 81, "x\u0323\u0301" * 67),
        (
            "bio",
            256,
            FAMILY * 255 + FAMILY.replace("\u200d", "\U0001f3fd\u200d"),
            "x\u0323\u0301\u0302\u0303\u0304\u0305\u0306" * 251,
        ),
    ],
    ids=["name", "location", "bio"],
)
def test_texts_are_measured_in_graphemes_bytes_and_characters(name, longest, too_many_bytes, too_many_characters):
    assert kept(name, "n" * longest) == "n" * longest
    assert problem(name, "n" * (longest + 1)) == "too_long"
    assert kept(name, "\U0001f407" * longest) == "\U0001f407" * longest
    assert kept(name, "e\u0301" * longest) == "\u00e9" * longest
    assert problem(name, too_many_bytes) == "too_long"
    assert problem(name, too_many_characters) == "too_long"


def test_256_families_are_a_bio_and_one_more_is_none():
    assert kept("bio", FAMILY * 256) == FAMILY * 256
    assert problem("bio", FAMILY * 257) == "too_long"


def test_one_letter_with_a_thousand_marks_is_one_grapheme_and_still_too_long():
    for name in ("display_name", "location", "bio"):
        assert problem(name, "e" + "\u0323" * 3200) == "too_long"


@pytest.mark.parametrize("value", ["", " ", "\u200b", "\u3164", "\u2800", "\ufeff \u00ad"])
def test_nothing_to_be_seen_is_nothing(value):
    assert problem("display_name", value) == "too_short"
    assert kept("location", value) is None
    assert kept("bio", value) is None


def test_nobody_is_without_a_name():
    assert problem("display_name", None) == "required"


# --- prose ---


def test_a_bio_has_lines_and_is_kept_raw():
    raw = "# Ann\n\n\t<script>alert(1)</script> & [a](javascript:b) \u05e9\u05dc\u05d5\u05dd\u200f"
    assert kept("bio", raw.replace("\n", "\r\n")) == raw
    assert kept("bio", "a\rb") == "a\nb"


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\x9b", "\ud800"])
def test_a_bio_has_no_controls(character):
    assert problem("bio", f"a{character}b") == "invalid_characters"


# --- addresses ---


@pytest.mark.parametrize("name", ["website", "avatar_url"])
@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com:8080/a/b.png?c=d&e=%20#f",
        "HTTPS://EXAMPLE.COM/",
        "https://m\u00fcnchen.example/stra\u00dfe",
        "https://xn--mnchen-3ya.example",
        "https://192.0.2.1/",
        "https://[2001:db8::1]:443/",
        "https://a_b.example.",
        "https://example.com/" + "a" * (2048 - 20),
    ],
)
def test_an_address_of_the_web_is_kept_as_it_is(name, url):
    assert kept(name, url) == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript://example.com/%0aalert(1)",
        "data:text/html,a",
        "file:///etc/passwd",
        "ftp://example.com",
        "//example.com",
        "example.com",
        "/a",
        "https:example.com",
        "https://",
        "https:///a",
        "https://ann@example.com",
        "https://ann:secret@example.com",
        "https://@example.com",
        "https://example.com\\@evil.example",
        "https://exa mple.com",
        " https://example.com",
        "https://example.com\n",
        "java\tscript:a",
        "https://example.com/\x00",
        "https://example.com/\ud800",
        "https://exam\u200bple.com",
        "https://example.com/\u202egnp",
        'https://example.com/"onclick="',
        "https://example.com/<b>",
        "https://example.com:0",
        "https://example.com:99999",
        "https://example.com:a",
        "https://[::1",
        "https://[zz]/",
        "https://-a/",
        "https://a\uff0fb.example/",
        "https://%00/",
        "https://[:::::]/",
        "https://example.com/\u3164",
        "https://example.com/a\u034fb",
        "https://exam\u2100ple.com/",
        "https://\u2474.com/",
    ],
)
def test_what_is_no_address_of_the_web_is_refused(url):
    assert problem("website", url) == "invalid_url"


@pytest.mark.parametrize("url", ["https://example.com/" + "a" * 2029, "https://example.com/" + "\u00fc" * 1020])
def test_an_address_is_measured_in_bytes(url):
    assert problem("avatar_url", url) == "too_long"


# --- the rest ---


@pytest.mark.parametrize("name", ["display_name", "bio", "location", "website", "avatar_url"])
@pytest.mark.parametrize("value", [5, True, ["a"], {"a": "b"}])
def test_a_text_is_text(name, value):
    assert problem(name, value) == "invalid_type"


def test_all_that_is_wrong_is_told_at_once():
    wrong = {
        "handle": "admin",
        "bio": "a\x00",
        "website": "ftp://a",
        "email": "a@b.example",
        "x/y": 1,
        "location": "Bern",
    }
    assert refused(wrong) == {
        ("/handle", "reserved_handle"),
        ("/bio", "invalid_characters"),
        ("/website", "invalid_url"),
        ("/email", "unknown_field"),
        ("/x~1y", "unknown_field"),
    }


@pytest.mark.parametrize("name", ["id", "version", "disabled", "created_at", "search_text", "handle_key", "sequence"])
def test_what_is_not_the_owners_to_change_is_unknown(name):
    assert problem(name, "x") == problem(name, None) == "unknown_field"


@pytest.mark.parametrize("changes", [None, [], "x", 5])
def test_changes_are_an_object(changes):
    assert refused(changes) == {("", "invalid_type")}


TEXTS = ("handle", "display_name", "bio", "location", "website", "avatar_url", "birth_date", "locale", "time_zone")


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("name", NAUGHTY)
def test_a_naughty_string_is_kept_or_refused_and_keeping_it_again_changes_nothing(field, name):
    try:
        edit = ProfileEdit.of({field: NAUGHTY[name]}, today=TODAY)
    except InvalidProfile:
        return
    value = edit.handle.text if field == "handle" else edit.values[field]
    assert value is None or value.encode("utf-8").decode("utf-8") == value
    assert value is None or "\x00" not in value
    if value is not None:
        again = ProfileEdit.of({field: value}, today=TODAY)
        assert (again.handle.text if field == "handle" else again.values[field]) == value


@given(st.text(alphabet=st.characters(codec=None)))
def test_what_is_without_the_invisible_stays_so(text):
    assert without_invisible(without_invisible(text)) == without_invisible(text)


@given(st.dictionaries(st.sampled_from(TEXTS), st.text(alphabet=st.characters(codec=None), max_size=3000)))
def test_no_text_breaks_an_edit(changes):
    try:
        edit = ProfileEdit.of(changes, today=TODAY)
    except InvalidProfile as refusal:
        codes = {each["code"] for each in refusal.details["errors"]}
    else:
        codes = set()
        for value in edit.values.values():
            str(value).encode("utf-8")
    assert "unknown_field" not in codes


@pytest.mark.parametrize("read", [clean_name, fitted_name])
def test_names_from_elsewhere_lose_what_nobody_sees_too(read):
    assert read("\u202eA\u200bnn\u2069") == "Ann"
    assert read(FAMILY) == FAMILY


def test_a_day_is_past_by_the_callers_today():
    assert ProfileEdit.of({"birth_date": "2026-01-31"}, today=TODAY + timedelta(days=1)).values["birth_date"] == TODAY

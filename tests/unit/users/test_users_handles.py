"""Which handles there are, and which are one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.naughty import NAUGHTY
from users_svc.domain.handle import Handle, key_of
from users_svc.domain.profile_fields import Unacceptable
from users_svc.domain.reserved_handles import RESERVED


@pytest.mark.parametrize("text", ["ann", "Ann", "a_1", "x" * 30, "_a_", "99_bottles", "zoe__"])
def test_a_handle_is_kept_as_it_is_typed(text):
    assert Handle.parse(text).text == text


@pytest.mark.parametrize(
    "typed, kept", [("\uff21\uff4e\uff4e", "Ann"), ("\U0001d4d0\U0001d4f7\U0001d4f7", "Ann"), ("\ufb01ne", "fine")]
)
def test_letters_of_another_width_are_the_plain_ones(typed, kept):
    assert Handle.parse(typed).text == kept


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ab",
        "x" * 31,
        "___",
        "123",
        "1_2_3",
        "a-b",
        "a.b",
        "a b",
        " ann",
        "ann\n",
        "zoë",
        "\u0430nn",
        "a\u200bnn",
        "\u0131nn",
        None,
        7,
        ["ann"],
        True,
    ],
)
def test_what_is_no_handle_is_refused(value):
    with pytest.raises(Unacceptable) as refused:
        Handle.parse(value)
    assert refused.value.code == "invalid_handle"
    assert key_of(value) is None


@pytest.mark.parametrize(
    "one, other",
    [
        ("ann", "ANN"),
        ("ann", "a_n_n_"),
        ("bill", "bi11"),
        ("bill", "b1LL"),
        ("paypal", "paypaI"),
        ("Iisa", "lisa"),
        ("bob", "b0b"),
        ("mike", "rnike"),
        ("mike", "r_nike"),
        ("walter", "vvalter"),
        ("vvvest", "wvest"),
        ("wvest", "vwest"),
    ],
)
def test_handles_that_look_alike_are_one(one, other):
    assert Handle.parse(one).key == Handle.parse(other).key == key_of(other)


@pytest.mark.parametrize("one, other", [("ann", "anne"), ("ann", "bob"), ("abc", "acb")])
def test_handles_that_do_not_look_alike_are_two(one, other):
    assert Handle.parse(one).key != Handle.parse(other).key


@pytest.mark.parametrize(
    "text", ["admin", "ADMIN", "Adm_in", "adrnin", "r00t", "supp0rt", "adm1n", "admln", "www", "vvvvvv", "he1p"]
)
def test_a_reserved_handle_is_nobodys_in_any_spelling(text):
    with pytest.raises(Unacceptable) as refused:
        Handle.parse(text)
    assert refused.value.code == "reserved_handle"


def test_many_words_are_reserved():
    assert len(RESERVED) >= 100
    assert {"admin", "support", "security", "root", "api", "profile", "postmaster"} <= RESERVED


@given(st.from_regex(r"[A-Za-z0-9_]{0,29}[A-Za-z]", fullmatch=True))
def test_a_key_does_not_depend_on_case_or_underscores(text):
    key = key_of(text)
    if len(text) >= 3:
        assert key == key_of(text.swapcase())
        assert key.isalnum()
        assert key == key.lower()


@given(st.text())
def test_any_text_is_a_handle_or_is_refused(text):
    try:
        handle = Handle.parse(text)
    except Unacceptable:
        return
    assert 3 <= len(handle.text) <= 30
    assert handle.text.isascii()
    assert Handle.parse(handle.text) == handle


@pytest.mark.parametrize("name", NAUGHTY)
def test_a_naughty_string_is_a_plain_handle_or_is_refused(name):
    key = key_of(NAUGHTY[name])
    if key is None:
        with pytest.raises(Unacceptable):
            Handle.parse(NAUGHTY[name])
    else:
        assert key.isascii()
        assert key.isalnum()

"""Names of people."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.timing import cpu_below
from users_svc.domain.text import MAX_NAME, NAMELESS, InvalidName, clean_name, fitted_name


@pytest.mark.parametrize(
    "typed, kept",
    [
        ("Ann", "Ann"),
        ("  Ann Lee \n", "Ann Lee"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("名前 🐇", "名前 🐇"),
        ("x" * MAX_NAME, "x" * MAX_NAME),
        ("e\u0301" * MAX_NAME, "\u00e9" * MAX_NAME),
    ],
)
def test_a_name_is_kept_in_its_normal_form(typed, kept):
    assert clean_name(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "  ",
        "x" * (MAX_NAME + 1),
        "A\0nn",
        "A\nnn",
        "A\x1b[31m",
        "A\x85nn",
        "A\ud800nn",
        "A\u2028nn",
        None,
        7,
        ["A"],
    ],
)
def test_what_is_no_name_is_refused(typed):
    with pytest.raises(InvalidName) as refused:
        clean_name(typed)
    assert (refused.value.kind, refused.value.code) == ("invalid", "invalid_name")
    (told,) = refused.value.details["errors"]
    assert (told["pointer"], told["detail"]) == ("/name", refused.value.message)


def test_a_name_of_endless_marks_costs_no_time():
    marks = "a" + "\u0301\u0327" * 20_000
    with cpu_below(0.5):
        with pytest.raises(InvalidName):
            clean_name(marks)
        assert len(fitted_name(marks)) <= MAX_NAME


@pytest.mark.parametrize(
    "accepted_elsewhere, fitted",
    [
        ("Ann", "Ann"),
        (" A\x00n\ud800n\n", "Ann"),
        ("x" * 300, "x" * MAX_NAME),
        ("x" * (MAX_NAME - 1) + " y", "x" * (MAX_NAME - 1)),
        ("", NAMELESS),
        ("\n\t", NAMELESS),
    ],
)
def test_a_name_that_another_service_accepted_is_made_to_fit(accepted_elsewhere, fitted):
    assert fitted_name(accepted_elsewhere) == fitted


@given(st.text(alphabet=st.characters(), max_size=130))
@example("e\u0301" * 120)
def test_a_fitted_name_is_always_a_clean_one(value):
    assert clean_name(fitted_name(value)) == fitted_name(value)


@given(st.text(max_size=130))
def test_a_clean_name_already_fits(value):
    try:
        name = clean_name(value)
    except InvalidName:
        return
    assert fitted_name(value) == fitted_name(name) == clean_name(name) == name

import unicodedata

import pytest

from auth_svc.domain.email import Email
from auth_svc.domain.password import WeakPassword, comparable, is_made_of, new_password, presented_password

JOHN = Email("john.doe@example.com")
COMMON = frozenset({"password123", "football"})


def accept(password, *, email=JOHN, name="John Doe"):
    return new_password(password, email=email, name=name, common=COMMON)


def reasons(password, **owner):
    with pytest.raises(WeakPassword) as refusal:
        accept(password, **owner)
    errors = refusal.value.details["errors"]
    assert refusal.value.kind == "invalid"
    assert refusal.value.code == "weak_password"
    assert all(each["pointer"] == "/password" and each["detail"] for each in errors)
    assert refusal.value.message == "; ".join(each["detail"] for each in errors)
    return [each["code"] for each in errors]


@pytest.mark.parametrize(
    "password",
    [
        "SecurePass123!",
        "correct horse battery staple",
        "        ",
        "eight ch",
        "x" * 128,
        "🦄🐉🦊🐝🦋🐙🐳🦔",
        "пароль-номер-один",
        "nul\x00inside",
    ],
)
def test_any_characters_make_a_password(password):
    assert accept(password) == password


def test_a_password_is_hashed_composed():
    decomposed = unicodedata.normalize("NFD", "größte Übung")
    assert accept(decomposed) == "größte Übung"
    assert presented_password(decomposed) == accept("größte Übung")


def test_blanks_around_a_password_belong_to_it():
    assert accept("  eight ch  ") == presented_password("  eight ch  ") == "  eight ch  "


@pytest.mark.parametrize("length, refused", [(7, ["too_short"]), (129, ["too_long"]), (600, ["too_long"])])
def test_the_length_is_counted_in_characters(length, refused):
    assert reasons("ö" * length) == refused
    assert reasons("x" * length) == refused


def test_the_length_is_counted_after_composing():
    assert accept("e\u0301" * 128) == "é" * 128
    assert reasons("e\u0301" * 7) == ["too_short"]


@pytest.mark.parametrize("password", [None, 12345678, {"$ne": ""}, "half\ud800pair", b"bytes-bytes"])
def test_what_is_no_text_is_no_password(password):
    assert reasons(password) == ["unreadable"]
    assert presented_password(password) is None


@pytest.mark.parametrize("password", ["", "x" * 129, "x" * 100_000])
def test_what_can_be_nobodys_password_is_not_even_hashed(password):
    assert presented_password(password) is None


def test_a_short_old_password_may_still_be_presented():
    assert presented_password("short") == "short"


@pytest.mark.parametrize("password", ["password123", "Password123", "PASSWORD123 ", "\uff50assword123", "FootBall"])
def test_common_passwords_are_refused_in_any_case_and_width(password):
    assert reasons(password) == ["common"]
    assert comparable(password) in COMMON


@pytest.mark.parametrize(
    "password",
    [
        "john.doe@example.com",
        "John.Doe@Example.com",
        "johndoe1985",
        "JohnDoe!!",
        "doe.john.2024",
        "Jöhn-Döe-1",
        "example.com1",
        "johnjohnjohn",
        "abc-john-doe",
    ],
)
def test_a_password_made_of_name_and_address_is_refused(password):
    assert reasons(password) == ["personal"]


@pytest.mark.parametrize("password", ["john likes sunflowers", "doe 🦄🐉🦊🐝", "doe пять слов", "income99"])
def test_a_name_inside_a_real_password_is_no_harm(password):
    assert accept(password) == password


def test_all_reasons_are_told_at_once():
    assert reasons("johndoe") == ["too_short", "personal"]
    assert reasons("football", email=Email("football@club.example")) == ["common", "personal"]


@pytest.mark.parametrize(
    "password, email, name",
    [
        ("Müller2024", "a@b.example", "Jürgen Müller"),
        ("muller2024", "a@b.example", "Jürgen Müller"),
        ("john1985xy", "john1985@b.example", "Someone"),
        ("johnsonjohn", "j@b.example", "John Johnson"),
        ("李小龙李小龙12", "l@b.example", "李小龙"),
    ],
)
def test_names_are_recognized_across_accents_digits_and_alphabets(password, email, name):
    assert is_made_of(password, email=Email(email), name=name)


@pytest.mark.parametrize(
    "password, email, name",
    [
        ("albatross", "al@b.example", "Al Wu"),
        ("12345!!!", "ann@b.example", "Ann"),
        ("income!!", "ann@b.com", "Ann"),
    ],
)
def test_short_words_and_top_level_domains_are_nobodys_name(password, email, name):
    assert not is_made_of(password, email=Email(email), name=name)

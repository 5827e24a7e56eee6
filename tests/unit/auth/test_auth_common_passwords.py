import pytest

from auth_svc.domain.email import Email
from auth_svc.domain.password import MIN_LENGTH, WeakPassword, comparable, new_password
from auth_svc.infrastructure.common_passwords import common_passwords

JOHN = {"email": Email("john.doe@example.com"), "name": "John Doe"}


def test_the_list_is_long_and_holds_only_what_the_other_rules_let_through():
    words = common_passwords()
    assert len(words) >= 10_000
    assert all(comparable(word) == word and len(word) >= MIN_LENGTH for word in words)


def test_the_list_is_read_once():
    assert common_passwords() is common_passwords()


@pytest.mark.parametrize("password", ["password123", "Password1", "qwertyuiop", "12345678", "P@ssw0rd", "iloveyou1"])
def test_what_everybody_tries_first_is_refused(password):
    with pytest.raises(WeakPassword) as refusal:
        new_password(password, **JOHN, common=common_passwords())
    assert [each["code"] for each in refusal.value.details["errors"]] == ["common"]


@pytest.mark.parametrize("password", ["SecurePass123!", "correct horse battery staple"])
def test_what_nobody_tries_first_passes(password):
    assert new_password(password, **JOHN, common=common_passwords()) == password

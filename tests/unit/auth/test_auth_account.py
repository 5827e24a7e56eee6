import pytest

from auth_svc.domain.account import (
    Account,
    AccountRegistered,
    InvalidCredentials,
    InvalidName,
    InvalidRequestKey,
    LoggedIn,
    proper_name,
    proper_request_key,
)
from auth_svc.domain.email import Email
from lib.ids import new_id
from tests.fakes.auth import START

ANN = Email("Ann@example.com")


def an_account(**changes):
    values = {"id": new_id(), "email": ANN, "name": "Ann", "password_hash": "hash", "now": START}
    account = Account.register(**{**values, **changes})
    account.pull_events()
    return account


def test_a_registered_account_is_active_unverified_and_announced():
    account = Account.register(id=new_id(), email=ANN, name="Ann", password_hash="hash", now=START)
    assert account.is_active
    assert not account.email_verified
    assert account.roles == ()
    assert account.password_set_at == account.created_at == START
    assert account.pull_events() == [
        (1, AccountRegistered(str(account.id), "Ann@example.com", "Ann", "active", email_verified=False))
    ]


def test_an_invited_account_has_no_password_and_is_announced_as_invited():
    account = Account.invite(id=new_id(), email=ANN, name="Ann", request_key="key", now=START)
    assert not account.is_active
    assert account.password_hash is None
    assert account.password_set_at is None
    assert account.pull_events() == [
        (1, AccountRegistered(str(account.id), "Ann@example.com", "Ann", "invited", email_verified=False))
    ]


def test_a_sign_in_is_announced_without_anything_personal():
    account, session_id = an_account(), new_id()
    account.log_in(session_id=session_id, method="pwd", password_set_at=START)
    assert account.pull_events() == [(2, LoggedIn(str(account.id), str(session_id), "pwd"))]


@pytest.mark.parametrize("status", ["invited", "disabled"])
def test_only_an_active_account_signs_in(status):
    account = an_account()
    account.status = status
    with pytest.raises(InvalidCredentials):
        account.log_in(session_id=new_id(), method="pwd", password_set_at=START)
    assert account.pull_events() == []


def test_a_password_that_was_replaced_meanwhile_signs_nobody_in():
    account = an_account()
    with pytest.raises(InvalidCredentials):
        account.log_in(session_id=new_id(), method="pwd", password_set_at=None)


def test_a_hash_is_upgraded_only_if_it_is_still_the_one_that_was_checked():
    account = an_account()
    account.upgrade_hash("other", "newer")
    assert account.password_hash == "hash"
    account.upgrade_hash("hash", "newer")
    assert account.password_hash == "newer"
    assert account.password_set_at == START


def test_no_secret_shows_in_the_representation_of_an_account():
    assert "hash" not in repr(an_account(password_hash="$argon2id$secret")).replace("password_hash", "")


@pytest.mark.parametrize("name", ["A", "x" * 100, "Ann-Marie O’Neill III", "李小龙", "د. محمد", "Ann 🦄"])
def test_names_that_people_have_are_accepted(name):
    assert proper_name(name) == name


def test_a_name_is_composed_and_trimmed():
    assert proper_name("  Zoe\u0308 \n") == "Zoë"


@pytest.mark.parametrize(
    "name",
    ["", "  ", "x" * 101, "x" * 500, "a\nb", "a\x00b", "a\x1bb", "a\u202eb", "a\u2028b", "a\ud800b", None, 5, {}],
)
def test_other_names_are_refused_with_the_field_named(name):
    with pytest.raises(InvalidName) as refusal:
        proper_name(name)
    assert refusal.value.code == "invalid_name"
    assert refusal.value.details["errors"][0]["pointer"] == "/name"


@pytest.mark.parametrize("key", ["k", "x" * 255, "0b5c7a7e-0000-7000-8000-000000000000"])
def test_a_request_key_is_a_short_printable_text(key):
    assert proper_request_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "a\x00", None, 5])
def test_other_request_keys_are_refused(key):
    with pytest.raises(InvalidRequestKey):
        proper_request_key(key)


CHANGES = {
    "log_in": lambda account: account.log_in(
        session_id=new_id(), method="pwd", password_set_at=account.password_set_at
    ),
    "verify_email": lambda account: account.verify_email(),
    "claim": lambda account: account.claim(password_hash="hash", now=START),
    "change_email": lambda account: account.change_email(Email("new@example.com")),
    "set_password": lambda account: account.set_password("new", method="change", now=START),
    "end_sessions": lambda account: account.end_sessions(newest=START, reason="logout", now=START),
    "disable": lambda account: account.disable("fraud", START),
    "enable": lambda account: account.disable("fraud", START) and account.enable("mistake"),
    "set_roles": lambda account: account.set_roles(("admin",)),
    "delete": lambda account: account.delete(),
    "request_mail": lambda account: account.request_mail("verification"),
}
#: They come along with one of the others.
ALONG = {"upgrade_hash", "drop_password"}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_every_change_counts_on_because_the_number_is_the_version(name):
    account = an_account()
    if name == "claim":
        account = Account.invite(id=new_id(), email=ANN, name="Ann", request_key="key", now=START)
    before = account.sequence
    CHANGES[name](account)
    assert account.sequence > before


def test_no_change_is_forgotten_here():
    changes = {name for name, each in vars(Account).items() if callable(each) and not name.startswith("_")}
    assert changes - {"register", "invite"} == CHANGES.keys() | ALONG

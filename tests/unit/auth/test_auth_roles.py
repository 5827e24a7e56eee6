"""Roles, who may lose them, and the reasons that administrators give."""

import pytest

from auth_svc.domain.account import Account
from auth_svc.domain.email import Email
from auth_svc.domain.reason import InvalidReason, proper_reason
from auth_svc.domain.roles import (
    LastAdministrator,
    OwnAccount,
    UnknownRole,
    is_administrator,
    must_be_dispensable,
    proper_role,
    proper_roles,
)
from lib.ids import new_id
from tests.fakes.auth import START


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([], ()),
        (["user"], ()),
        (["admin"], ("admin",)),
        (["support", "user", "admin", "support", "finance"], ("admin", "finance", "support")),
        (("finance", "admin"), ("admin", "finance")),
    ],
)
def test_roles_are_kept_once_and_sorted_without_the_one_that_is_everybodys(given, kept):
    assert proper_roles(given) == kept


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        (["root"], "/roles/0"),
        (["admin", "Admin"], "/roles/1"),
        (["admin", " admin"], "/roles/1"),
        (["admin", ""], "/roles/1"),
        (["admin", None], "/roles/1"),
        (["admin", ["finance"]], "/roles/1"),
        (["admin", {"role": "finance"}], "/roles/1"),
        ([True], "/roles/0"),
        ("admin", "/roles"),
        (None, "/roles"),
        ({"admin": True}, "/roles"),
        (5, "/roles"),
    ],
)
def test_what_is_no_role_is_refused_and_named(given, pointer):
    with pytest.raises(UnknownRole) as refusal:
        proper_roles(given)
    assert refusal.value.code == "unknown_role"
    assert refusal.value.details["errors"][0]["pointer"] == pointer


def test_a_single_role_may_be_the_one_that_is_everybodys():
    assert proper_role("user") == "user"
    with pytest.raises(UnknownRole):
        proper_role("ADMIN")


def account(*roles, status="active"):
    made = Account.register(id=new_id(), email=Email("a@example.com"), name="A", password_hash="hash", now=START)
    made.roles, made.status = roles, status
    return made


def test_an_administrator_has_the_role_and_an_open_account():
    assert is_administrator(account("admin", "finance"))
    assert not is_administrator(account("finance"))
    assert not is_administrator(account("admin", status="disabled"))
    assert not is_administrator(account("admin", status="invited"))


def test_nobody_does_it_to_the_own_account_not_even_beside_others():
    ann, bob = account("admin"), account("admin")
    with pytest.raises(OwnAccount):
        must_be_dispensable(ann, administrators=[ann, bob], actor_id=ann.id)


def test_the_last_administrator_stays_whoever_asks():
    ann = account("admin")
    for actor in (new_id(), None):
        with pytest.raises(LastAdministrator):
            must_be_dispensable(ann, administrators=[ann], actor_id=actor)


def test_whoever_is_no_administrator_or_one_of_several_is_dispensable():
    ann, bob = account("admin"), account("admin")
    must_be_dispensable(bob, administrators=[ann, bob], actor_id=ann.id)
    must_be_dispensable(account("finance"), administrators=[ann], actor_id=ann.id)
    must_be_dispensable(account("admin", status="disabled"), administrators=[ann], actor_id=ann.id)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abuse", "abuse"),
        ("  abuse \n", "abuse"),
        ("first line\nsecond line", "first line\nsecond line"),
        ("e\u0301t\u00e9", "\u00e9t\u00e9"),
        ("x" * 500, "x" * 500),
        (" " + "x" * 500 + " ", "x" * 500),
    ],
)
def test_a_reason_is_kept_composed_and_trimmed(given, kept):
    assert proper_reason(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "   ",
        "\n",
        "x" * 501,
        "x" * 100_000,
        "nul\x00",
        "bell\x07",
        "tab\there",
        "\u202etxt",
        "half \ud800",
        None,
        5,
        ["a"],
        {},
    ],
    ids=lambda given: repr(given)[:20],
)
def test_what_is_no_reason_is_refused(given):
    with pytest.raises(InvalidReason) as refusal:
        proper_reason(given)
    assert refusal.value.code == "invalid_reason"
    assert refusal.value.details["errors"][0]["pointer"] == "/reason"

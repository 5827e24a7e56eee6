"""The rules of profiles."""

from datetime import timedelta
from uuid import UUID

import pytest

from lib.ids import new_id
from tests.fakes.users import NOON
from users_svc.domain.account_state import AccountState
from users_svc.domain.profile import Profile, UserNotFound, is_shown, parse_user_id, public_view

LATER = NOON + timedelta(hours=1)


def ann(**changes):
    profile = Profile.open(new_id(), email="ann@example.com", name="Ann", now=NOON)
    for name, value in changes.items():
        setattr(profile, name, value)
    return profile


def test_a_new_profile_can_be_found_and_says_only_what_the_account_said():
    profile = ann()
    assert (profile.email, profile.display_name, profile.discoverable) == ("ann@example.com", "Ann", True)
    assert (profile.created_at, profile.updated_at) == (NOON, NOON)
    empty = ("handle", "bio", "avatar_url", "location", "website", "birth_date", "locale", "time_zone")
    assert {getattr(profile, name) for name in empty} == {None}
    assert (profile.disabled, profile.sequence) == (False, 0)


def test_an_account_with_an_odd_name_still_gets_a_profile():
    profile = Profile.open(new_id(), email="ann@example.com", name="A\x00" + "n" * 200, now=NOON)
    assert profile.display_name == "A" + "n" * 99


def test_the_profile_has_the_accounts_address_and_name():
    profile = ann()
    account = AccountState(profile.id, email="ann@example.org", name="Ann Example")
    profile.follow(account, called="Ann", now=LATER)
    assert (profile.email, profile.display_name) == ("ann@example.org", "Ann Example")
    assert (profile.updated_at, profile.created_at) == (LATER, NOON)


def test_a_name_that_the_owner_chose_stays():
    profile = ann(display_name="Annie")
    profile.follow(AccountState(profile.id, email="ann@example.org", name="Ann Example"), called="Ann", now=LATER)
    assert (profile.email, profile.display_name) == ("ann@example.org", "Annie")


def test_what_is_not_known_of_the_account_stays():
    profile = ann()
    profile.follow(AccountState(profile.id), called=None, now=LATER)
    assert (profile.email, profile.display_name, profile.updated_at) == ("ann@example.com", "Ann", NOON)


def test_hiding_is_no_change_of_the_profile():
    profile = ann()
    account = AccountState(profile.id, email=profile.email, name=profile.display_name, disabled=True)
    profile.follow(account, called=profile.display_name, now=LATER)
    assert (profile.disabled, profile.updated_at) == (True, NOON)
    account.disabled = False
    profile.follow(account, called=profile.display_name, now=LATER)
    assert not profile.disabled


def test_a_profile_can_be_hidden_from_the_start():
    assert Profile.open(new_id(), email="ann@example.com", name="Ann", disabled=True, now=NOON).disabled


@pytest.mark.parametrize(
    "disabled, viewer, sees_disabled, shown",
    [
        (False, "nobody", False, True),
        (False, "stranger", False, True),
        (True, "nobody", False, False),
        (True, "stranger", False, False),
        (True, "owner", False, True),
        (True, "nobody", True, True),
        (True, "stranger", True, True),
    ],
)
def test_a_disabled_accounts_profile_is_shown_to_its_owner_and_to_whoever_may_see_it(
    disabled, viewer, sees_disabled, shown
):
    profile = ann(disabled=disabled)
    viewer_id = {"nobody": None, "stranger": str(new_id()), "owner": str(profile.id)}[viewer]
    assert is_shown(profile.fields(), viewer_id=viewer_id, sees_disabled=sees_disabled) is shown


def test_everybody_sees_the_public_fields_and_no_others():
    profile = ann(
        handle="ann", bio="secret", location="Bern", birth_date=NOON.date(), avatar_url="https://example.com/a"
    )
    assert public_view(profile.fields()) == {
        "id": profile.id,
        "handle": "ann",
        "display_name": "Ann",
        "avatar_url": "https://example.com/a",
        "created_at": NOON,
    }


def test_a_profile_in_a_log_line_tells_no_personal_data():
    profile = ann(bio="secret")
    assert repr(profile) == f"<Profile {profile.id}>"


def test_an_id_is_read_in_its_usual_form():
    assert parse_user_id("0190C2F4-7B5A-7C3E-8D2F-1A2B3C4D5E6F") == UUID("0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "me",
        "0190c2f47b5a7c3e8d2f1a2b3c4d5e6f",
        "{0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f}",
        "urn:uuid:0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f",
        " 0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f",
        "0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f\x00",
        "\ud800",
        None,
        7,
    ],
)
def test_what_is_no_id_is_nobodys(value):
    with pytest.raises(UserNotFound) as refused:
        parse_user_id(value)
    assert (refused.value.kind, refused.value.code) == ("not_found", "user_not_found")

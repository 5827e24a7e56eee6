"""The rules of profiles."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from lib.ids import new_id
from tests.fakes.users import NOON
from users_svc.domain.account_state import AccountState
from users_svc.domain.handle import HandleChangedRecently, HandleTaken
from users_svc.domain.profile import Profile, ProfileUpdated, UserNotFound, is_shown, parse_user_id
from users_svc.domain.profile_edit import ProfileEdit

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
    # An address is told to nobody.
    assert profile.pull_events() == []


@pytest.mark.parametrize("audience, told", [("public", "Ann Example"), ("followers", None)])
def test_a_name_that_comes_from_the_account_is_told_as_one_that_the_owner_chose(audience, told):
    profile = ann(visibility={"display_name": audience})
    account = AccountState(profile.id, email="ann@example.org", name="Ann Example")
    for _ in range(2):
        profile.follow(account, called="Ann", now=LATER)
    assert profile.pull_events() == [(1, ProfileUpdated(str(profile.id), ["display_name"], None, told))]


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


# --- what its owner changes ---


def edit(profile, changes, *, holder=None, now=LATER):
    profile.edit(ProfileEdit.of(changes, today=now.date()), holder=holder, now=now)
    return [event for _, event in profile.pull_events()]


def test_what_is_changed_is_told_by_name_and_not_by_value():
    profile = ann(handle="ann", handle_key="ann", email="ann@example.com")
    changes = {"bio": "Hares", "birth_date": "1990-02-28", "discoverable": False, "visibility": {"bio": "public"}}
    changed = ["bio", "birth_date", "discoverable", "visibility"]
    assert edit(profile, changes) == [ProfileUpdated(str(profile.id), changed, "ann", "Ann")]
    assert (profile.updated_at, profile.sequence) == (LATER, 1)
    assert (profile.bio, profile.birth_date, profile.discoverable) == ("Hares", date(1990, 2, 28), False)


@pytest.mark.parametrize("audience", ["followers", "mutuals", "private"])
def test_a_name_that_not_everybody_may_see_is_not_told(audience):
    profile = ann(handle="ann", handle_key="ann")
    (event,) = edit(profile, {"visibility": {"handle": audience, "display_name": audience}})
    assert (event.handle, event.display_name) == (None, None)
    assert (profile.search_handle, profile.search_name, profile.search_text) == ("", "", "")
    (event,) = edit(profile, {"visibility": {"handle": None}})
    assert (event.handle, event.display_name) == ("ann", None)
    assert (profile.search_handle, profile.search_text) == ("ann", "ann")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"display_name": "Ann", "bio": None, "discoverable": None, "visibility": None},
        {"handle": None},
        {"visibility": {}},
        {"visibility": {"bio": None}},
        {"display_name": " A\u200bnn "},
    ],
)
def test_what_is_so_already_is_no_change(changes):
    profile = ann()
    assert edit(profile, changes) == []
    assert (profile.updated_at, profile.handle_changed_at) == (NOON, None)


def test_null_takes_away_and_what_is_left_out_stays():
    profile = ann(bio="Hares", location="Bern", private=True, discoverable=False, findable_by_email=True)
    edit(profile, {"bio": None, "private": None, "discoverable": None, "findable_by_email": None})
    assert (profile.bio, profile.location) == (None, "Bern")
    assert (profile.private, profile.discoverable, profile.findable_by_email) == (False, True, False)


def test_audiences_are_merged_field_by_field():
    profile = ann(visibility={"bio": "public", "email": "followers"})
    edit(profile, {"visibility": {"bio": None, "location": "mutuals"}})
    assert profile.visibility == {"email": "followers", "location": "mutuals"}
    edit(profile, {"visibility": None})
    assert profile.visibility == {}


def test_the_searched_texts_follow_the_name():
    profile = ann()
    edit(profile, {"display_name": "Zoë  Müller", "handle": "ZoeM"})
    assert (profile.search_name, profile.search_handle) == ("zoe muller", "zoem")


# --- handles ---


def with_handle(changed_at=NOON):
    return ann(handle="Ann", handle_key="ann", handle_changed_at=changed_at)


def test_the_first_handle_can_be_chosen_at_once():
    profile = ann()
    assert [each.handle for each in edit(profile, {"handle": "Bob_1"})] == ["Bob_1"]
    assert (profile.handle, profile.handle_key, profile.handle_changed_at) == ("Bob_1", "bobl", LATER)


@pytest.mark.parametrize("wait, allowed", [(timedelta(days=30), True), (timedelta(days=30, microseconds=-1), False)])
def test_the_next_handle_has_to_wait(wait, allowed):
    profile = with_handle()
    if allowed:
        edit(profile, {"handle": "bob"}, now=NOON + wait)
        assert (profile.handle, profile.handle_changed_at) == ("bob", NOON + wait)
        return
    with pytest.raises(HandleChangedRecently) as refused:
        edit(profile, {"handle": "bob"}, now=NOON + wait)
    assert (refused.value.kind, refused.value.details) == ("conflict", {"retry_after": 1})
    assert profile.handle == "Ann"


def test_another_spelling_of_ones_own_handle_is_no_other_handle():
    profile = with_handle()
    edit(profile, {"handle": "a_n_n"}, holder=profile.id)
    assert (profile.handle, profile.handle_key, profile.handle_changed_at) == ("a_n_n", "ann", NOON)


def test_ones_own_old_handle_has_to_wait_as_every_other():
    profile = with_handle()
    with pytest.raises(HandleChangedRecently):
        edit(profile, {"handle": "bob"}, holder=profile.id)
    then = NOON + timedelta(days=30)
    edit(profile, {"handle": "bob"}, holder=profile.id, now=then)
    assert (profile.handle, profile.handle_changed_at) == ("bob", then)


def test_a_handle_can_be_given_up_at_any_time_and_the_next_one_waits():
    profile = with_handle()
    (event,) = edit(profile, {"handle": None})
    assert (event.changed, event.handle) == (["handle"], None)
    assert (profile.handle, profile.handle_key, profile.handle_changed_at) == (None, None, NOON)
    with pytest.raises(HandleChangedRecently):
        edit(profile, {"handle": "bob"})


def test_a_handle_of_somebody_else_is_taken():
    profile = ann()
    with pytest.raises(HandleTaken) as refused:
        edit(profile, {"handle": "bob"}, holder=new_id())
    assert (refused.value.kind, refused.value.code, refused.value.details) == ("conflict", "handle_taken", {})
    assert profile.pull_events() == []

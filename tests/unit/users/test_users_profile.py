"""The rules of profiles."""

from datetime import timedelta
from uuid import UUID

import pytest

from lib.ids import new_id
from tests.fakes.users import NOON
from users_svc.domain.profile import Profile, UserNotFound, parse_user_id, public_view

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
    assert (profile.source_sequence, profile.sequence) == (0, 0)


def test_an_account_with_an_odd_name_still_gets_a_profile():
    profile = Profile.open(new_id(), email="ann@example.com", name="A\x00" + "n" * 200, now=NOON)
    assert profile.display_name == "A" + "n" * 99


def test_a_newer_event_brings_the_address():
    profile = ann()
    profile.follow_account(email="ann@example.org", sequence=3, now=LATER)
    assert (profile.email, profile.source_sequence, profile.updated_at) == ("ann@example.org", 3, LATER)


@pytest.mark.parametrize("sequence", [1, 2, 3])
def test_an_older_or_repeated_event_changes_nothing(sequence):
    profile = ann(source_sequence=3)
    profile.follow_account(email="old@example.com", sequence=sequence, now=LATER)
    assert (profile.email, profile.source_sequence, profile.updated_at) == ("ann@example.com", 3, NOON)


def test_an_event_without_news_moves_only_the_sequence():
    profile = ann()
    profile.follow_account(email="ann@example.com", sequence=1, now=LATER)
    assert (profile.source_sequence, profile.updated_at) == (1, NOON)


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

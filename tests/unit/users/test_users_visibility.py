"""Who sees which field: every viewer, every field, every audience."""

from dataclasses import fields
from itertools import product

import pytest

from lib.ids import new_id
from tests.fakes.users import NOON
from users_svc.domain.profile import Profile
from users_svc.domain.visibility import (
    ALWAYS_SHOWN,
    AUDIENCES,
    DEFAULT_AUDIENCES,
    OWN_FIELDS,
    VIEWERS,
    viewer_of,
    visible_fields,
)

#: written out by hand, as the owner of a profile would say it
TOLD = {
    "public": {"anonymous", "stranger", "admin", "follower", "mutual", "owner"},
    "followers": {"follower", "mutual", "owner"},
    "mutuals": {"mutual", "owner"},
    "private": {"owner"},
}
USUAL = {
    "handle": "public",
    "display_name": "public",
    "avatar_url": "public",
    "bio": "followers",
    "location": "followers",
    "website": "followers",
    "locale": "followers",
    "time_zone": "followers",
    "email": "private",
    "birth_date": "private",
}
#: nobody is shown these, not even their owner
INNER = {
    "disabled",
    "sequence",
    "handle_key",
    "handle_changed_at",
    "email_key",
    "search_text",
    "search_name",
    "search_handle",
}


def profile(**changes):
    found = Profile.open(new_id(), email="ann@example.com", name="Ann", now=NOON).fields() | changes
    return found | {"followers_count": 3, "following": False, "followed_by": False}


@pytest.mark.parametrize("name, audience, viewer", [*product(USUAL, [None, *AUDIENCES], VIEWERS)])
def test_a_field_is_shown_to_its_audience(name, audience, viewer):
    chosen = {} if audience is None else {name: audience}
    seen = visible_fields(profile(visibility=chosen), viewer)
    assert (name in seen) == (viewer in TOLD[audience or USUAL[name]])


@pytest.mark.parametrize("name, viewer", [*product(USUAL, VIEWERS)])
def test_an_audience_that_nobody_knows_is_the_owner(name, viewer):
    assert (name in visible_fields(profile(visibility={name: "friends"}), viewer)) == (viewer == "owner")


@pytest.mark.parametrize("viewer", VIEWERS)
def test_what_has_no_audience_is_for_everybody_for_the_owner_or_for_nobody(viewer):
    everything = dict.fromkeys([*USUAL, *ALWAYS_SHOWN, *OWN_FIELDS, *INNER], "public")
    seen = visible_fields(profile(visibility=everything), viewer)
    rest = set(seen) - set(USUAL)
    assert rest == {"id", "private", "created_at"} | (
        {"visibility", "discoverable", "findable_by_email", "updated_at", "version"} if viewer == "owner" else set()
    )


def test_every_field_of_a_profile_is_in_the_matrix():
    assert {each.name for each in fields(Profile)} == {*DEFAULT_AUDIENCES, *ALWAYS_SHOWN, *OWN_FIELDS, *INNER}
    assert DEFAULT_AUDIENCES == USUAL
    assert set(TOLD) == set(AUDIENCES)


@pytest.mark.parametrize(
    "following, followed_by, is_admin, signed_in, kind",
    [
        (False, False, False, False, "anonymous"),
        (False, False, False, True, "stranger"),
        (False, True, False, True, "stranger"),
        (True, False, False, True, "follower"),
        (True, True, False, True, "mutual"),
        (False, False, True, True, "admin"),
        (False, False, True, False, "admin"),
        (True, False, True, True, "follower"),
        (True, True, True, True, "mutual"),
    ],
)
def test_what_a_viewer_is_to_the_owner(following, followed_by, is_admin, signed_in, kind):
    found = profile() | {"following": following, "followed_by": followed_by}
    assert viewer_of(found, str(new_id()) if signed_in else None, is_admin=is_admin) == kind


@pytest.mark.parametrize("is_admin", [True, False])
def test_the_owner_is_nobody_else(is_admin):
    found = profile()
    assert viewer_of(found, str(found["id"]), is_admin=is_admin) == "owner"

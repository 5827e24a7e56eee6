"""Profiles edited and looked at, on PostgreSQL: versions, handles, audiences, naughty strings, races."""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from tests.integration.users.test_users_races import rows, together
from tests.support.naughty import NAUGHTY, has_surrogate
from users_svc.application.close_profile import close_profile
from users_svc.application.edit_profile import edit_profile
from users_svc.application.follow_account import follow_account
from users_svc.application.get_profile import get_profile
from users_svc.application.get_user import get_user
from users_svc.domain.handle import HandleChangedRecently, HandleTaken
from users_svc.domain.identity import Identity
from users_svc.domain.profile import UserNotFound
from users_svc.domain.profile_edit import InvalidProfile, ProfileChanged
from users_svc.domain.visibility import AUDIENCES, DEFAULT_AUDIENCES
from users_svc.infrastructure.tables import blocks, follow_requests, follows, outbox, retired_handles
from users_svc.presentation.service import UsersService

EVERYTHING = {
    "handle": "Ann_1",
    "display_name": "Ann 🐇",
    "bio": "Hares\nand 'quotes'",
    "avatar_url": "https://example.com/ann.png",
    "location": "Bern",
    "website": "https://example.com/ann",
    "birth_date": "1990-02-28",
    "locale": "de-CH",
    "time_zone": "Europe/Zurich",
    "visibility": {"bio": "public"},
    "discoverable": False,
    "private": True,
    "findable_by_email": True,
}


def edit(ports, user_id, changes, **options):
    return edit_profile(ports, user_id=str(user_id), changes=changes, **options)


def later(ports, **time):
    """Return the ports some time later."""
    moment = ports.now() + timedelta(**time)
    return replace(ports, now=lambda: moment)


def events(sessions):
    return [each["envelope"] for each in rows(sessions, outbox) if each["type"] == "user.profile.updated"]


def connect(sessions, table, source, target):
    first, second = list(table.columns)[:2]
    values = {first.name: source, second.name: target, "id": new_id(), "created_at": sa.func.now()}
    with sessions() as session:
        session.execute(sa.insert(table).values(values))
        session.commit()


# --- editing ---


def test_every_field_comes_back_as_it_was_sent(users_sessions, ports, person):
    ann = person("Ann")
    before = get_profile(ports, user_id=str(ann))
    edited = edit(ports, ann, EVERYTHING)
    assert edited == get_profile(ports, user_id=str(ann))
    assert {name: edited[name] for name in EVERYTHING} == EVERYTHING | {"birth_date": edited["birth_date"]}
    assert edited["birth_date"].isoformat() == "1990-02-28"
    assert (edited["version"], edited["email"]) == (before["version"] + 1, before["email"])
    assert (edited["search_text"], edited["handle_key"]) == ("ann_1 ann 🐇", "annl")
    (event,) = events(users_sessions)
    assert event["subject"] == str(ann)
    assert event["data"] == {
        "id": str(ann),
        "changed": sorted(EVERYTHING),
        "handle": "Ann_1",
        "display_name": "Ann 🐇",
    }


def test_null_takes_everything_away_again(ports, person):
    ann = person("Ann")
    edit(ports, ann, EVERYTHING)
    emptied = edit(ports, ann, {name: None for name in EVERYTHING if name != "display_name"})
    usual = {"visibility": {}, "discoverable": True, "private": False, "findable_by_email": False}
    assert {name: emptied[name] for name in EVERYTHING} == dict.fromkeys(EVERYTHING) | usual | {
        "display_name": "Ann 🐇"
    }


def test_what_changes_nothing_writes_nothing(users_sessions, ports, person):
    ann = person("Ann", bio="Hares")
    before = get_profile(ports, user_id=str(ann))
    assert edit(ports, ann, {"bio": "Hares", "display_name": "Ann"}) == before
    assert events(users_sessions) == []


def test_one_bad_value_keeps_all_others_out(users_sessions, ports, person):
    ann = person("Ann")
    before = get_profile(ports, user_id=str(ann))
    with pytest.raises(InvalidProfile):
        edit(ports, ann, {"bio": "Hares", "handle": "a"})
    assert get_profile(ports, user_id=str(ann)) == before


def test_an_edit_for_an_old_version_is_refused(users_sessions, ports, person):
    ann = person("Ann")
    version = edit(ports, ann, {"bio": "one"})["version"]
    assert edit(ports, ann, {"bio": "two"}, expected_version=version)["version"] == version + 1
    for wrong in (version, version + 2, -1):
        with pytest.raises(ProfileChanged) as refused:
            edit(ports, ann, {"bio": "three"}, expected_version=wrong)
        assert (refused.value.kind, refused.value.code) == ("stale", "stale")
    assert get_profile(ports, user_id=str(ann))["bio"] == "two"
    assert len(events(users_sessions)) == 2


def test_an_address_that_moved_makes_an_older_edit_stale(ports, person):
    ann = person("Ann")
    version = get_profile(ports, user_id=str(ann))["version"]
    follow_account(ports, event_id=str(new_id()), user_id=str(ann), sequence=2, email="new@example.com")
    with pytest.raises(ProfileChanged):
        edit(ports, ann, {"bio": "x"}, expected_version=version)


def test_of_twenty_edits_of_one_version_one_is_made(users_sessions, ports, person):
    ann = person("Ann")
    version = get_profile(ports, user_id=str(ann))["version"]
    refused = []

    def change(number):
        try:
            edit(ports, ann, {"bio": str(number)}, expected_version=version)
        except ProfileChanged:
            refused.append(number)

    together(*[lambda number=number: change(number) for number in range(20)])
    found = get_profile(ports, user_id=str(ann))
    assert (len(refused), found["version"]) == (19, version + 1)
    assert int(found["bio"]) not in refused
    assert len(events(users_sessions)) == 1


def test_twenty_edits_of_different_fields_and_news_of_the_account_all_count(users_sessions, ports, person):
    ann = person("Ann")
    fields = ("bio", "location", "locale", "time_zone", "discoverable")
    values = {name: EVERYTHING[name] for name in fields}
    together(
        *[lambda name=name: edit(ports, ann, {name: values[name]}) for name in fields] * 3,
        *[
            lambda number=number: follow_account(
                ports, event_id=str(new_id()), user_id=str(ann), sequence=number, email=f"ann{number}@example.com"
            )
            for number in range(2, 7)
        ],
    )
    found = get_profile(ports, user_id=str(ann))
    assert {name: found[name] for name in fields} == values
    assert found["email"] == "ann6@example.com"
    sequences = sorted(each["sequence"] for each in events(users_sessions))
    assert sequences == list(range(1, len(fields) + 1))


def test_an_owner_edits_before_the_news_of_the_account_came(ports):
    account = Identity(new_id(), "ann@example.com", "Ann")
    ports.identities.add(account)
    edited = edit(ports, account.id, {"bio": "Hares"})
    assert (edited["id"], edited["bio"], edited["email"]) == (account.id, "Hares", "ann@example.com")


@pytest.mark.parametrize("user_id", [str(new_id()), "me", "", None])
def test_who_is_not_there_edits_nothing(ports, user_id):
    with pytest.raises(UserNotFound):
        edit_profile(ports, user_id=user_id, changes={"bio": "x"})


def test_the_end_of_an_account_ends_its_editing(ports, person):
    ann = person("Ann")
    ports.identities.add(Identity(ann, "ann@example.com", "Ann"))
    close_profile(ports, event_id=str(new_id()), user_id=str(ann))
    with pytest.raises(UserNotFound):
        edit(ports, ann, {"bio": "x"})
    with pytest.raises(UserNotFound):
        get_profile(ports, user_id=str(ann))


def test_a_profile_that_goes_while_its_owner_looks_is_not_there(ports, person):
    account = Identity(new_id(), "ann@example.com", "Ann")
    ports.identities.add(account)

    class Going:
        """Nobody is ever seen."""

        def view(self, user_id, viewer_id):
            return None

    with pytest.raises(UserNotFound):
        get_profile(replace(ports, people=Going()), user_id=str(account.id))


def test_a_name_that_the_owner_chose_outlasts_the_accounts(ports, person):
    ann = person("Ann")
    edit(ports, ann, {"display_name": "Annie"})
    follow_account(
        ports, event_id=str(new_id()), user_id=str(ann), sequence=2, name="Ann Example", email="a@example.com"
    )
    assert get_profile(ports, user_id=str(ann))["display_name"] == "Annie"


TEXTS = ("handle", "display_name", "bio", "location", "website", "avatar_url", "locale", "time_zone", "birth_date")


@pytest.mark.parametrize("field", TEXTS)
def test_every_naughty_string_is_stored_as_it_is_returned_or_is_refused(ports, person, field):
    """What is returned is what PostgreSQL gives back, so a string that it would bend or refuse shows here."""
    for name, text in NAUGHTY.items():
        ann = person("Ann")
        try:
            edited = edit(ports, ann, {field: text})[field]
        except (InvalidProfile, HandleTaken):
            assert get_profile(ports, user_id=str(ann))["version"] == 1, name
            continue
        assert edited is None or not has_surrogate(edited), name
        if edited is not None and field in ("display_name", "location", "bio"):
            again = edit(ports, ann, {field: edited})
            assert (again[field], again["version"]) == (edited, 2), name


# --- handles ---


def test_a_handle_is_one_persons_whatever_it_looks_like(ports, person):
    edit(ports, person("Ann"), {"handle": "Mike_1"})
    bob = person("Bob")
    for handle in ("Mike_1", "mike1", "MIKEL", "rnikel", "m_i_k_e_1"):
        with pytest.raises(HandleTaken):
            edit(ports, bob, {"handle": handle})
    assert edit(ports, bob, {"handle": "mike2"})["handle"] == "mike2"


def test_a_handle_that_was_given_up_is_kept_from_others_for_90_days_and_not_from_its_owner(
    users_sessions, ports, person
):
    ann, bob = person("Ann"), person("Bob")
    edit(ports, ann, {"handle": "hare"})
    month = later(ports, days=30)
    edit(month, ann, {"handle": "rabbit"})
    with pytest.raises(HandleTaken):
        edit(later(month, days=89, hours=23), bob, {"handle": "HARE"})
    for handle in ("leveret5", "Hare"):
        with pytest.raises(HandleChangedRecently):
            edit(later(month, days=29), ann, {"handle": handle})
    assert edit(later(month, days=30), ann, {"handle": "Hare"})["handle"] == "Hare"
    assert [each["handle_key"] for each in rows(users_sessions, retired_handles)] == ["rabblt"]


def test_nobody_keeps_more_than_one_handle_that_they_have_given_up(users_sessions, ports, person):
    ann, bob = person("Ann"), person("Bob")
    for month, handle in enumerate(("hare", "rabbit", "hare", "leveret5", "bunny")):
        edit(later(ports, days=30 * month), ann, {"handle": handle})
    assert [each["handle_key"] for each in rows(users_sessions, retired_handles)] == ["leveret5"]
    assert edit(later(ports, days=120), bob, {"handle": "rabbit"})["handle"] == "rabbit"
    with pytest.raises(HandleTaken):
        edit(later(ports, days=150), bob, {"handle": "leveret_5"})


def test_a_handle_that_was_given_up_by_mistake_can_be_taken_again(ports, person):
    ann = person("Ann")
    edit(ports, ann, {"handle": "hare"})
    month = later(ports, days=30)
    edit(month, ann, {"handle": None})
    assert edit(month, ann, {"handle": "hare"})["handle"] == "hare"
    edit(month, ann, {"handle": None})
    with pytest.raises(HandleChangedRecently):
        edit(later(month, days=29), ann, {"handle": "hare"})


def test_the_handle_of_a_deleted_person_is_kept_from_others_for_90_days(users_sessions, ports, person):
    ann, bob = person("Ann"), person("Bob")
    edit(ports, ann, {"handle": "hare"})
    close_profile(ports, event_id=str(new_id()), user_id=str(ann))
    with pytest.raises(HandleTaken):
        edit(later(ports, days=89), bob, {"handle": "HARE"})
    assert edit(later(ports, days=90, seconds=1), bob, {"handle": "hare"})["handle"] == "hare"


def test_after_90_days_a_handle_is_free(users_sessions, ports, person):
    ann, bob = person("Ann"), person("Bob")
    edit(ports, ann, {"handle": "hare"})
    edit(ports, ann, {"handle": None})
    assert edit(later(ports, days=90, seconds=1), bob, {"handle": "hare"})["handle"] == "hare"
    assert rows(users_sessions, retired_handles) == []
    with pytest.raises(HandleTaken):
        edit(later(ports, days=91), ann, {"handle": "hare"})


def test_of_twenty_who_want_one_handle_one_gets_it(users_sessions, ports, person):
    people = [person(f"Person {number}") for number in range(20)]
    taken = []

    def wish(user_id, handle):
        try:
            edit(ports, user_id, {"handle": handle, "bio": "mine"})
        except HandleTaken:
            taken.append(user_id)

    spellings = ["Hare", "h_are", "HARE", "hare_"]
    together(*[lambda each=each, at=at: wish(each, spellings[at % 4]) for at, each in enumerate(people)])
    assert len(taken) == 19
    found = [get_profile(ports, user_id=str(each)) for each in people]
    assert sum(each["handle"] is not None for each in found) == 1
    # Who was too late has nothing of the rest either.
    assert sum(each["bio"] is not None for each in found) == 1
    assert len(events(users_sessions)) == 1


@pytest.mark.parametrize("round", range(5))
def test_a_handle_that_is_being_given_up_is_at_no_moment_free(ports, person, round):
    ann, bob = person("Ann"), person("Bob")
    edit(ports, ann, {"handle": "hare"})

    def take():
        with pytest.raises(HandleTaken):
            edit(ports, bob, {"handle": "hare"})

    together(lambda: edit(ports, ann, {"handle": None}), *[take] * 5)
    assert get_profile(ports, user_id=str(bob))["handle"] is None


# --- who sees what ---


def viewers(sessions, person, ann):
    """Return who looks: name → their id, and whether they are an administrator."""
    found = {"anonymous": None, "owner": ann} | {
        each: person(each) for each in ("stranger", "follower", "mutual", "followed", "requester", "blocked", "admin")
    }
    connect(sessions, follows, found["follower"], ann)
    connect(sessions, follows, found["mutual"], ann)
    connect(sessions, follows, ann, found["mutual"])
    connect(sessions, follows, ann, found["followed"])
    connect(sessions, follow_requests, found["requester"], ann)
    connect(sessions, blocks, ann, found["blocked"])
    return found


def look(ports, ann, viewer_id, *, is_admin=False):
    viewer = None if viewer_id is None else str(viewer_id)
    return get_user(ports, user_id=str(ann), viewer_id=viewer, is_admin=is_admin)


MEMBERS = {
    "public": {"anonymous", "stranger", "followed", "requester", "admin", "follower", "mutual", "owner"},
    "followers": {"follower", "mutual", "owner"},
    "mutuals": {"mutual", "owner"},
    "private": {"owner"},
}


def test_the_matrix_of_viewers_fields_and_audiences(users_sessions, ports, person):
    ann = person("Ann")
    edit(ports, ann, EVERYTHING | {"visibility": None})
    looking = viewers(users_sessions, person, ann)
    checked = 0
    for audience in (None, *AUDIENCES):
        edit(ports, ann, {"visibility": dict.fromkeys(DEFAULT_AUDIENCES, audience)})
        for viewer, name in product(looking, DEFAULT_AUDIENCES):
            if viewer == "blocked":
                continue
            seen = look(ports, ann, looking[viewer], is_admin=viewer == "admin").fields
            assert (name in seen) == (viewer in MEMBERS[audience or DEFAULT_AUDIENCES[name]]), (audience, viewer, name)
            checked += 1
        with pytest.raises(UserNotFound):
            look(ports, ann, looking["blocked"])
    assert checked == 5 * 8 * len(DEFAULT_AUDIENCES)


def test_nobody_but_the_owner_sees_address_and_birth_date_unless_they_want_it(users_sessions, ports, person):
    ann = person("Ann")
    edit(ports, ann, EVERYTHING)
    for viewer, viewer_id in viewers(users_sessions, person, ann).items():
        if viewer not in ("owner", "blocked"):
            seen = look(ports, ann, viewer_id, is_admin=viewer == "admin").fields
            assert {"email", "birth_date"} & set(seen) == set()
            assert {"visibility", "discoverable", "findable_by_email", "version"} & set(seen) == set()


def test_for_a_blocked_viewer_a_user_is_as_unknown_as_any_other_id(users_sessions, ports, person):
    ann = person("Ann")
    blocked = viewers(users_sessions, person, ann)["blocked"]
    told = []
    for user_id in (ann, new_id()):
        with pytest.raises(UserNotFound) as refused:
            look(ports, user_id, blocked)
        told.append((refused.value.kind, refused.value.code, refused.value.message, refused.value.details))
    assert told[0] == told[1]


def test_nobody_can_block_an_administrator(users_sessions, ports, person):
    ann = person("Ann")
    edit(ports, ann, EVERYTHING)
    blocked = viewers(users_sessions, person, ann)["blocked"]
    seen = look(ports, ann, blocked, is_admin=True)
    assert seen.fields.keys() >= {"handle", "display_name"}
    assert "location" not in seen.fields


def test_a_viewer_sees_what_they_are_to_each_other(users_sessions, ports, person):
    ann = person("Ann")
    looking = viewers(users_sessions, person, ann)
    told = {}
    for viewer, viewer_id in looking.items():
        if viewer != "blocked":
            found = look(ports, ann, viewer_id).relationship
            told[viewer] = found and {name for name, value in vars(found).items() if value is True}
            assert found is None or found.id == ann
    assert told == {
        "anonymous": None,
        "owner": None,
        "stranger": set(),
        "admin": set(),
        "follower": {"following"},
        "mutual": {"following", "followed_by"},
        "followed": {"followed_by"},
        "requester": {"requested"},
    }


def test_who_becomes_public_lets_everybody_in_who_waits(users_sessions, ports, person):
    ann, bob = person("Ann", private=True), person("Bob")
    connect(users_sessions, follow_requests, bob, ann)
    edit(ports, ann, {"bio": "still private"})
    assert len(rows(users_sessions, follow_requests)) == 1
    assert edit(ports, ann, {"private": False})["private"] is False
    (opened,) = [each["envelope"] for each in rows(users_sessions, outbox) if each["type"] == "user.follow_opened"]
    UsersService.on_user_follow_opened(SimpleNamespace(ports=ports), opened)
    assert rows(users_sessions, follow_requests) == []
    assert get_profile(ports, user_id=str(ann))["followers_count"] == 1
    assert [(each["follower_id"], each["followee_id"]) for each in rows(users_sessions, follows)] == [(bob, ann)]


def test_who_waits_goes_on_waiting_if_the_edit_is_refused(users_sessions, ports, person):
    ann, bob = person("Ann", private=True), person("Bob")
    connect(users_sessions, follow_requests, bob, ann)
    with pytest.raises(ProfileChanged):
        edit(ports, ann, {"private": False}, expected_version=99)
    assert len(rows(users_sessions, follow_requests)) == 1
    assert rows(users_sessions, follows) == []
    assert rows(users_sessions, outbox) == []


def test_who_becomes_private_keeps_their_followers(users_sessions, ports, person):
    ann, bob = person("Ann"), person("Bob")
    connect(users_sessions, follows, bob, ann)
    edit(ports, ann, {"private": True})
    assert len(rows(users_sessions, follows)) == 1
    assert look(ports, ann, bob).fields["private"] is True

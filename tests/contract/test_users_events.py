"""users_svc understands the agreed form of the events that it consumes, and sends its own in theirs."""

import json
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from lib.context import ANONYMOUS
from lib.ids import new_id
from lib.outbox import envelope
from tests.fakes.users import NOON, FakeWorld
from users_svc.domain.profile import Profile, UserNotFound
from users_svc.domain.profile_edit import ProfileEdit
from users_svc.presentation.service import UsersService

HERE = Path(__file__).parent
SUBSCRIBERS = {
    "user.registered": {"on_user_registered", "on_user_registered_count"},
    "user.claimed": {"on_user_claimed"},
    "user.email.verified": {"on_user_email_verified"},
    "user.email.changed": {"on_user_email_changed"},
    "user.disabled": {"on_user_disabled"},
    "user.enabled": {"on_user_enabled"},
    "user.deleted": {"on_user_deleted"},
}


@pytest.fixture
def world():
    return FakeWorld()


@pytest.fixture
def service(world):
    service = UsersService()
    service.ports = world.ports()
    return service


def sample(event_type):
    return json.loads((HERE / f"{event_type}.json").read_text(encoding="utf-8"))


@pytest.fixture
def event():
    return sample("user.registered")


def test_every_event_of_an_account_that_matters_here_has_its_subscriber():
    found: dict[str, set[str]] = {}
    for name, method in vars(UsersService).items():
        for entrypoint in getattr(method, "nameko_entrypoints", ()):
            if getattr(entrypoint, "source_service", None) == "auth_svc":
                found.setdefault(entrypoint.event_type, set()).add(name)
    assert found == SUBSCRIBERS


def test_a_registration_gives_a_profile(world, service, event):
    service.on_user_registered(event)
    (profile,) = world.profiles.values()
    account = event["data"]
    assert profile.id == UUID(account["id"]) == UUID(event["subject"])
    assert (profile.email, profile.display_name) == (account["email"], account["name"])
    assert world.accounts[profile.id].email_sequence == event["sequence"]


def test_a_registration_counts_on_its_day(world, service, event):
    service.on_user_registered_count(event)
    assert world.registrations == {date.fromisoformat(event["occurred_at"][:10]): 1}


def test_both_handlers_take_one_event_and_each_takes_it_once(world, service, event):
    for _ in range(2):
        service.on_user_registered(event)
        service.on_user_registered_count(event)
    assert len(world.profiles) == 1
    assert list(world.registrations.values()) == [1]


@pytest.mark.parametrize("status", ["active", "invited"])
def test_the_status_of_the_account_makes_no_difference(world, service, event, status):
    event["data"]["status"] = status
    service.on_user_registered(event)
    assert len(world.profiles) == 1


def test_fields_that_a_later_version_adds_are_passed_over(world, service, event):
    event["data"]["favourite_hare"] = "Lepus europaeus"
    event["schema_version"] += 1
    event["tenant"] = "later"
    service.on_user_registered(event)
    service.on_user_registered_count(event)
    assert len(world.profiles) == 1


@pytest.mark.parametrize("missing", ["id", "email", "name"])
def test_an_event_that_lacks_what_is_needed_is_not_taken_as_done(world, service, event, missing):
    del event["data"][missing]
    with pytest.raises(KeyError):
        service.on_user_registered(event)
    assert world.profiles == {}


# --- the life of the account ---


def tell(service, event):
    """Hand an event to its subscribers, twice: the broker may do so."""
    for handler in sorted(SUBSCRIBERS[event["type"]]) * 2:
        getattr(service, handler)(event)


def only_profile(world):
    (profile,) = world.profiles.values()
    return profile


@pytest.mark.parametrize("event_type", ["user.email.verified", "user.email.changed"])
def test_the_profile_has_the_address_that_the_event_tells(world, service, event, event_type):
    tell(service, event)
    news = sample(event_type)
    news["data"]["email"] = "new@example.com"
    tell(service, news)
    assert (only_profile(world).email, only_profile(world).display_name) == ("new@example.com", event["data"]["name"])
    assert world.accounts[only_profile(world).id].email_sequence == news["sequence"]


def test_the_profile_has_the_address_and_the_name_of_a_claimed_account(world, service, event):
    news = sample("user.claimed")
    event["data"] |= {"id": news["data"]["id"], "status": "invited", "name": "B.", "email": "b@example.com"}
    tell(service, event)
    tell(service, news)
    profile = only_profile(world)
    assert (profile.email, profile.display_name) == (news["data"]["email"], news["data"]["name"])


def test_a_claim_has_all_that_a_profile_needs(world, service):
    news = sample("user.claimed")
    tell(service, news)
    assert str(only_profile(world).id) == news["data"]["id"] == news["subject"]


def test_the_profile_is_hidden_and_shown_with_its_account(world, service, event):
    service.caller = ANONYMOUS
    tell(service, event)
    user_id = event["data"]["id"]
    tell(service, sample("user.disabled"))
    with pytest.raises(UserNotFound):
        service.get_user(user_id=user_id)
    tell(service, sample("user.enabled"))
    assert service.get_user(user_id=user_id)["display_name"] == event["data"]["name"]
    tell(service, sample("user.disabled"))
    assert not only_profile(world).disabled


def test_a_deleted_account_leaves_its_id_and_a_count(world, service, event):
    tell(service, event)
    tell(service, sample("user.deleted"))
    assert (world.profiles, world.accounts) == ({}, {})
    assert list(world.tombstones) == [UUID(event["data"]["id"])]
    assert list(world.registrations.values()) == [1]


FOLLOWED = sorted(set(SUBSCRIBERS) - {"user.registered"})


@pytest.mark.parametrize("event_type", FOLLOWED)
def test_fields_that_a_later_version_adds_to_an_event_are_passed_over(world, service, event, event_type):
    tell(service, event)
    news = sample(event_type)
    news["data"]["favourite_hare"] = "Lepus europaeus"
    news["schema_version"] += 1
    news["tenant"] = "later"
    tell(service, news)
    assert world.database.committed.inbox >= {
        ("close_profile" if event_type == "user.deleted" else "follow_account", news["id"])
    }


NEEDED = [
    (event_type, missing)
    for event_type in FOLLOWED
    for missing in ("id", "email", "name", "sequence")
    if missing in sample(event_type)["data"] or (missing == "sequence" and event_type != "user.deleted")
]


@pytest.mark.parametrize("event_type, missing", NEEDED)
def test_an_event_that_lacks_a_part_is_not_taken_as_done(world, service, event_type, missing):
    news = sample(event_type)
    del (news if missing == "sequence" else news["data"])[missing]
    with pytest.raises(KeyError):
        tell(service, news)
    assert (world.profiles, world.accounts, world.tombstones) == ({}, {}, {})
    assert world.database.committed.inbox == set()


@pytest.mark.parametrize("user_id", ["nobody", "", None, 7])
@pytest.mark.parametrize("event_type", FOLLOWED)
def test_an_event_about_no_account_is_not_taken_as_done(world, service, event_type, user_id):
    news = sample(event_type)
    news["data"]["id"] = user_id
    with pytest.raises((ValueError, AttributeError, TypeError)):
        tell(service, news)
    assert world.database.committed.inbox == set()


# --- what users_svc tells of profiles ---

CHANGES = {
    "handle": "ann",
    "display_name": "Ann Example",
    "bio": "told-to-nobody",
    "avatar_url": "https://example.com/told-to-nobody",
    "location": "told-to-nobody",
    "website": "https://example.com/told-to-nobody",
    "birth_date": "1990-02-28",
    "locale": "de-CH",
    "time_zone": "Europe/Zurich",
    "private": True,
    "discoverable": False,
    "findable_by_email": True,
    "visibility": {"email": "public", "birth_date": "public", "bio": "public"},
}


def told(changes):
    """Return the message about a change, as it goes to the broker."""
    profile = Profile.open(new_id(), email="told-to-nobody@example.com", name="Ann", now=NOON)
    profile.edit(ProfileEdit.of(changes, today=NOON.date()), holder=None, now=NOON)
    ((sequence, event),) = profile.pull_events()
    return json.loads(json.dumps(envelope(str(profile.id), sequence, event, "request-1"))), profile


def shape(value):
    """Return keys and types, all the way down."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [type(value), *{type(each) for each in value}] if isinstance(value, list) else type(value)


def test_a_changed_profile_is_told_in_the_agreed_shape():
    message, profile = told({"handle": "ann", "bio": "Hares", "visibility": {"bio": "public"}})
    agreed = sample("user.profile.updated")
    assert shape(message) == shape(agreed)
    assert (message["type"], message["schema_version"]) == (agreed["type"], agreed["schema_version"])
    assert message["data"]["changed"] == agreed["data"]["changed"]
    assert message["subject"] == message["data"]["id"] == str(profile.id)


def test_a_changed_profile_tells_what_changed_and_not_into_what():
    message, _ = told(CHANGES)
    assert message["data"]["changed"] == sorted(CHANGES)
    assert set(message["data"]) == {"id", "changed", "handle", "display_name"}
    written = json.dumps(message)
    for value in ("told-to-nobody", "example.com", "1990", "de-CH", "Zurich"):
        assert value not in written


@pytest.mark.parametrize("hidden", ["handle", "display_name"])
@pytest.mark.parametrize("audience", ["followers", "mutuals", "private"])
def test_a_name_that_not_everybody_may_see_does_not_leave_the_house(hidden, audience):
    message, _ = told({"handle": "ann", "display_name": "Ann Example", "visibility": {hidden: audience}})
    shown = {"handle": "ann", "display_name": "Ann Example"} | {hidden: None}
    assert {name: message["data"][name] for name in shown} == shown

"""users_svc understands the agreed form of the events that it consumes."""

import json
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from tests.fakes.users import FakeWorld
from users_svc.presentation.service import UsersService

SAMPLE = Path(__file__).parent / "user.registered.json"


@pytest.fixture
def world():
    return FakeWorld()


@pytest.fixture
def service(world):
    service = UsersService()
    service.ports = world.ports()
    return service


@pytest.fixture
def event():
    return json.loads(SAMPLE.read_text(encoding="utf-8"))


def handlers(event_type):
    """Return the methods that subscribe to auth_svc's events of one type."""
    return {
        name
        for name, method in vars(UsersService).items()
        for entrypoint in getattr(method, "nameko_entrypoints", ())
        if (getattr(entrypoint, "source_service", None), getattr(entrypoint, "event_type", None))
        == ("auth_svc", event_type)
    }


def test_the_sample_is_handled_by_every_subscriber(event):
    assert handlers(event["type"]) == {"on_user_registered", "on_user_registered_count"}


def test_a_registration_gives_a_profile(world, service, event):
    service.on_user_registered(event)
    (profile,) = world.profiles.values()
    account = event["data"]
    assert profile.id == UUID(account["id"]) == UUID(event["subject"])
    assert (profile.email, profile.display_name) == (account["email"], account["name"])
    assert profile.source_sequence == event["sequence"]


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

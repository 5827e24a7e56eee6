"""users_svc tells that an administrator looked in the agreed form, and auth_svc writes that down."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from auth_svc.presentation.service import AuthService
from lib.outbox import envelope
from tests.fakes.auth import AuthWorld
from users_svc.domain.inspection import Inspection

NAME = "user.profile.inspected"


@pytest.fixture
def sample():
    return json.loads((Path(__file__).parent / f"{NAME}.json").read_text(encoding="utf-8"))


@pytest.fixture
def world():
    return AuthWorld()


@pytest.fixture
def service(world):
    service = AuthService()
    service.ports = world.ports
    return service


def test_the_event_is_the_sample(sample):
    inspection = Inspection(UUID(sample["subject"]), UUID(sample["data"]["actor_id"]))
    inspection.see(UUID(sample["data"]["id"]))
    ((number, event),) = inspection.pull_events()
    published = json.loads(json.dumps(envelope(str(inspection.id), number, event, sample["correlation_id"])))
    assert {**published, "id": sample["id"], "occurred_at": sample["occurred_at"]} == sample


def test_auth_svc_is_subscribed():
    (handler,) = AuthService.on_user_profile_inspected.nameko_entrypoints
    assert (handler.source_service, handler.event_type) == ("users_svc", NAME)


def test_the_look_is_in_the_audit_trail_once(world, service, sample):
    for _ in range(3):
        service.on_user_profile_inspected(sample)
    (entry,) = world.store.audit
    assert (entry.kind, entry.outcome) == ("profile.read", "success")
    assert (str(entry.account_id), str(entry.actor_id)) == (sample["data"]["id"], sample["data"]["actor_id"])
    assert entry.details == {"looked_at": sample["occurred_at"]}
    assert entry.personal == {}


def test_fields_that_a_later_version_adds_are_passed_over(world, service, sample):
    sample["data"]["favourite_hare"] = "Lepus europaeus"
    sample["tenant"] = "later"
    service.on_user_profile_inspected(sample)
    assert len(world.store.audit) == 1


@pytest.mark.parametrize("missing", ["id", "actor_id", "occurred_at"])
def test_an_event_that_lacks_a_part_is_not_taken_as_done(world, service, sample, missing):
    del (sample if missing == "occurred_at" else sample["data"])[missing]
    with pytest.raises(KeyError):
        service.on_user_profile_inspected(sample)
    assert (world.store.audit, world.store.seen) == ([], set())

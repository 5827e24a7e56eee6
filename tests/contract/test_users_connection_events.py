"""What users_svc tells of follows and blocks has the agreed shape, and says no more than who did what to whom."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from lib.outbox import envelope
from users_svc.domain import connection as module
from users_svc.domain.connection import Connection, Opening, PendingRequests, connections_of
from users_svc.domain.relationship import Relationship

HERE = Path(__file__).parent
ANN = UUID("019c13f5-6e5c-7a53-8f0b-6d4e5c3b2a19")
BOB = UUID("019c13f6-7f6d-7b64-9a1c-7e5f6d4c3b2a")


def sample(event_type):
    return json.loads((HERE / f"{event_type}.json").read_text(encoding="utf-8"))


def between(acting, other, *, approves=False, **known):
    return Connection(acting, Relationship(other, **known), visible=True, approves=approves)


def after(connection, act):
    getattr(connection, act)()
    return connection


def settled():
    requests = PendingRequests(BOB, [ANN])
    requests.accept_all()
    return requests


HAPPENINGS = [
    ("user.followed", lambda: after(between(ANN, BOB), "follow")),
    ("user.unfollowed", lambda: after(between(ANN, BOB, following=True), "unfollow")),
    ("user.blocked", lambda: after(between(ANN, BOB), "block")),
    ("user.follow_requested", lambda: after(between(ANN, BOB, approves=True), "follow")),
    ("user.follow_accepted", lambda: after(between(BOB, ANN, requested_by=True), "accept")),
    ("user.follow_accepted", settled),
    ("user.follow_opened", lambda: Opening(UUID(sample("user.follow_opened")["subject"]), BOB)),
]
ACTS = sorted({name for name, _ in HAPPENINGS} - {"user.follow_opened"})


@pytest.mark.parametrize("name, happening", HAPPENINGS)
def test_the_event_is_the_sample(name, happening):
    agreed, aggregate = sample(name), happening()
    aggregate.sequence = 0
    ((_, event),) = aggregate.pull_events()
    published = json.loads(json.dumps(envelope(str(aggregate.id), agreed["sequence"], event, agreed["correlation_id"])))
    assert {**published, "id": agreed["id"], "occurred_at": agreed["occurred_at"]} == agreed


def test_every_event_has_a_sample():
    defined = {each.type for each in vars(module).values() if isinstance(getattr(each, "type", None), str)}
    assert defined == {name for name, _ in HAPPENINGS}


@pytest.mark.parametrize("name", ACTS)
def test_an_event_holds_ids_only(name):
    """No names, no addresses: everybody at the broker may read it."""
    agreed = sample(name)
    assert sorted(agreed["data"].values()) == sorted([str(ANN), str(BOB)])


@pytest.mark.parametrize("name", ACTS)
def test_the_connections_of_a_person_have_a_numbering_of_their_own(name):
    """Not that of the profile, nor that of the account: one subject has one increasing sequence."""
    agreed = sample(name)
    assert agreed["subject"] in {str(connections_of(UUID(each))) for each in agreed["data"].values()}
    others = {sample(other)["subject"] for other in ("user.profile.updated", "user.registered", "notification.created")}
    assert agreed["subject"] not in others


@pytest.mark.parametrize("act", ["mute", "unmute", "unblock", "reject"])
def test_what_nobody_else_is_to_know_has_no_event(act):
    connection = after(between(ANN, BOB, muting=act == "unmute", blocking=act == "unblock", requested_by=True), act)
    assert connection.changed
    assert connection.pull_events() == []


def test_a_block_is_told_with_the_blocker_as_its_subject():
    """Events about a person go by their subject: one that had the blocked person there could be told to them."""
    agreed = sample("user.blocked")
    assert agreed["subject"] == str(connections_of(UUID(agreed["data"]["blocker_id"])))
    assert agreed["data"]["blocker_id"] != agreed["data"]["blocked_id"]

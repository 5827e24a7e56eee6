"""Each event that people are told of, in its agreed form, and what they read of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from uuid import UUID

import pytest

from auth_svc.domain.mail import MailKind
from lib.ids import new_id
from tests.contract.test_users_notification_events import SUBSCRIBERS
from users_svc.domain.identity import Identity
from users_svc.domain.notification_types import TYPES
from users_svc.infrastructure.tables import pending_notification_mails
from users_svc.presentation.service import UsersService

SAMPLES = Path(__file__).resolve().parents[2] / "contract"
#: a little after the samples
SOON = datetime(2026, 1, 31, 14, 0, tzinfo=UTC)
PAYMENT = "019c13f8-2ee0-7b1c-8d2e-3f4a5b6c7d8e"
TOLD = [
    ("payment.succeeded", "payment_succeeded", {"payment_id": PAYMENT, "amount": 1050, "currency": "EUR"}),
    (
        "payment.failed",
        "payment_failed",
        {"payment_id": PAYMENT, "amount": 1050, "currency": "EUR", "decline_code": "insufficient_funds"},
    ),
    (
        "payment.refunded",
        "payment_refunded",
        {
            "payment_id": PAYMENT,
            "amount": 400,
            "currency": "EUR",
            "refund_id": "019c13fa-0318-7a6b-9c7d-8e9fa0b1c2d3",
        },
    ),
    (
        "payment.refund_failed",
        "payment_refund_failed",
        {
            "payment_id": PAYMENT,
            "amount": 400,
            "currency": "EUR",
            "refund_id": "019c13fa-0318-7a6b-9c7d-8e9fa0b1c2d3",
            "failure_code": "expired_or_canceled_card",
        },
    ),
    ("user.password.changed", "password_changed", {"method": "change"}),
    ("user.email.changed", "email_changed", {}),
    ("user.roles.changed", "roles_changed", {"roles": ["finance", "user"]}),
    ("session.revoked.all", "sessions_ended", {"reason": "password_changed"}),
]
FOLLOWS = [
    ("user.followed", "followed", "followee_id", "follower_id"),
    ("user.follow_requested", "follow_requested", "target_id", "requester_id"),
    ("user.follow_accepted", "follow_accepted", "requester_id", "target_id"),
]
HANDLERS = {event_type: handler for (_, event_type), handler in SUBSCRIBERS.items()}


@pytest.fixture
def service(ports):
    service = UsersService()
    service.ports = replace(ports, now=lambda: SOON)
    return service


def sample(name):
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def tell(service, event):
    """Hand the event over twice: the broker may do so."""
    for _ in range(2):
        getattr(service, HANDLERS[event["type"]])(event)


def inbox_of(service, user_id):
    page = service.list_notifications(user_id=str(user_id))
    assert json.loads(json.dumps(page)) == page
    return page["data"]


def made(event_type, **data):
    return {"id": str(new_id()), "type": event_type, "occurred_at": "2026-01-31T12:00:00Z", "data": data, "sequence": 1}


@pytest.mark.parametrize("name, type, data", TOLD)
def test_an_account_hears_of_it_once(service, ports, name, type, data):
    event = sample(name)
    user_id = event["data"].get("user_id") or event["data"]["id"]
    ports.identities.add(Identity(UUID(user_id), "ann@example.com", "Ann"))
    tell(service, event)
    (told,) = inbox_of(service, user_id)
    assert (told["type"], told["data"], told["actor"]) == (type, data, None)
    assert told["created_at"] == event["occurred_at"]
    assert "@" not in json.dumps(told)
    assert service.notifications_after(user_id=user_id, number=0) == {"data": [told], "last": 1, "unread": 1}


@pytest.mark.parametrize("event_type, type, whom, by", FOLLOWS)
def test_a_person_hears_of_another_once(service, person, event_type, type, whom, by):
    ann, bob = person("Ann"), person("Bob", handle="bob")
    tell(service, made(event_type, **{whom: str(ann), by: str(bob)}))
    (told,) = inbox_of(service, ann)
    assert (told["type"], told["data"]) == (type, {})
    assert told["actor"] == {"id": str(bob), "handle": "bob", "display_name": "Bob", "avatar_url": None}
    assert inbox_of(service, bob) == []


@pytest.mark.parametrize(
    "event_type, data",
    [
        ("session.revoked", {"session_id": str(new_id()), "reason": "password_change"}),
        ("session.revoked", {"session_id": str(new_id()), "reason": "logout"}),
        ("session.revoked", {"not_before": "2026-01-31T12:06:00.123Z", "reason": "logout"}),
        ("user.login.failed", {"method": "pwd", "locked": False}),
    ],
)
def test_of_less_nobody_hears(service, person, event_type, data):
    ann = str(person("Ann"))
    tell(service, made(event_type, id=ann, user_id=ann, **data))
    assert inbox_of(service, ann) == []


def test_a_lock_is_told(service, person):
    ann = str(person("Ann"))
    tell(service, made("user.login.failed", id=ann, method="pwd", locked=True))
    assert [each["type"] for each in inbox_of(service, ann)] == ["login_locked"]


def test_a_key_that_was_used_twice_is_told(service, person):
    ann, session_id = str(person("Ann")), str(new_id())
    tell(service, made("session.revoked", session_id=session_id, user_id=ann, reason="refresh_reused"))
    assert [(each["type"], each["data"]) for each in inbox_of(service, ann)] == [
        ("refresh_reused", {"session_id": session_id})
    ]


LOCKED = ("user.login.failed", {"method": "pwd", "locked": True})
ROLES = ("user.roles.changed", {"roles": ["user"]})


def ended(reason):
    return ("session.revoked", {"not_before": "2026-01-31T12:00:00.000Z", "reason": reason})


@pytest.mark.parametrize(
    "events, mailed",
    [
        ([LOCKED], ["login_locked"]),
        ([ROLES], ["roles_changed"]),
        ([ended("admin")], ["sessions_ended"]),
        ([ended("a reason of tomorrow")], ["sessions_ended"]),
        # One mail for what is one thing, whoever sends it.
        ([ROLES, ended("roles")], ["roles_changed"]),
        ([("user.password.changed", {"method": "reset"}), ended("password_reset")], []),
        ([("user.email.changed", {}), ended("email_revert")], []),
        ([("session.revoked", {"session_id": str(new_id()), "reason": "refresh_reused"})], []),
        ([ended("disabled")], []),
    ],
)
def test_what_is_about_security_is_in_the_inbox_and_in_one_mail(service, person, rows, events, mailed):
    """auth_svc mails about passwords, addresses and keys that were used twice."""
    ann = str(person("Ann"))
    for event_type, data in events:
        tell(service, made(event_type, id=ann, user_id=ann, **data))
    assert len(inbox_of(service, ann)) == len(events)
    assert [each["type"] for each in rows(pending_notification_mails)] == mailed


def test_auth_svc_mails_what_is_left_to_it():
    """As far as its own kinds of mails say."""
    theirs = {"password_changed": "password_changed", "email_changed": "email_change_notice"}
    theirs |= {"refresh_reused": "session_ended"}
    assert {each.name for each in TYPES.values() if each.mailed_by_auth} == set(theirs)
    assert set(theirs.values()) <= set(get_args(MailKind))


def test_fields_that_a_later_version_adds_are_passed_over(service, ports):
    event = sample("payment.succeeded")
    ports.identities.add(Identity(UUID(event["data"]["user_id"]), "ann@example.com", "Ann"))
    event["data"]["favourite_hare"] = "Lepus europaeus"
    event["schema_version"] += 1
    tell(service, event)
    assert "hare" not in json.dumps(inbox_of(service, event["data"]["user_id"]))


@pytest.mark.parametrize("name, type, data", TOLD)
def test_an_event_that_lacks_a_part_is_not_taken_as_done(service, ports, name, type, data):
    event = sample(name)
    whom = "user_id" if "user_id" in event["data"] else "id"
    user_id = event["data"].pop(whom)
    ports.identities.add(Identity(UUID(user_id), "ann@example.com", "Ann"))
    with pytest.raises(KeyError):
        tell(service, event)
    event["data"][whom] = user_id
    tell(service, event)
    assert [each["type"] for each in inbox_of(service, user_id)] == [type]


def test_the_calls_of_the_service(service, person):
    ann = str(person("Ann"))
    for _ in range(3):
        tell(service, made("user.login.failed", id=ann, method="pwd", locked=True))
    three, two, one = (each["id"] for each in inbox_of(service, ann))
    assert service.mark_notification_read(user_id=ann, notification_id=one) is None
    assert service.delete_notification(user_id=ann, notification_id=two) is None
    page = service.list_notifications(user_id=ann, limit=1, unread_only=True)
    assert ([each["id"] for each in page["data"]], page["next_cursor"], page["unread"]) == ([three], None, 1)
    assert service.mark_all_notifications_read(user_id=ann, up_to=2) is None
    assert service.list_notifications(user_id=ann)["unread"] == 1
    assert service.mark_all_notifications_read(user_id=ann) is None
    assert service.notifications_after(user_id=ann, number=None) == {"data": [], "last": 3, "unread": 0}

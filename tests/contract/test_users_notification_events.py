"""What users_svc tells of notifications has the agreed shape; it understands what it tells people of."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from lib.ids import new_id, utc_now
from lib.outbox import envelope
from users_svc.domain.notification import Inbox, News, NotificationCreated
from users_svc.presentation.notifications import NotificationRpc

HERE = Path(__file__).parent
SUBSCRIBERS = {
    ("users_svc", "user.followed"): "on_user_followed",
    ("users_svc", "user.follow_requested"): "on_user_follow_requested",
    ("users_svc", "user.follow_accepted"): "on_user_follow_accepted",
    ("payments_svc", "payment.succeeded"): "on_payment_succeeded",
    ("payments_svc", "payment.failed"): "on_payment_failed",
    ("payments_svc", "payment.refunded"): "on_payment_refunded",
    ("payments_svc", "payment.refund_failed"): "on_payment_refund_failed",
    ("auth_svc", "user.password.changed"): "on_user_password_changed",
    ("auth_svc", "user.email.changed"): "on_user_email_changed_news",
    ("auth_svc", "user.roles.changed"): "on_user_roles_changed",
    ("auth_svc", "session.revoked"): "on_session_revoked",
    ("auth_svc", "user.login.failed"): "on_user_login_failed",
}


@pytest.fixture
def sample():
    return json.loads((HERE / "notification.created.json").read_text(encoding="utf-8"))


def news_for(inbox, **more):
    return News(user_id=inbox.user_id, event_id=new_id(), actor_id=new_id(), happened_at=utc_now(), **more)


def published(inbox, correlation_id):
    ((sequence, event),) = inbox.pull_events()
    return json.loads(json.dumps(envelope(str(inbox.id), sequence, event, correlation_id)))


def test_the_event_is_the_sample(sample):
    inbox = Inbox(UUID(sample["data"]["user_id"]), sequence=16, unread=2)
    inbox.deliver(news_for(inbox, type="followed"), id=new_id())
    event = published(inbox, sample["correlation_id"])
    assert {**event, "id": sample["id"], "occurred_at": sample["occurred_at"]} == sample
    assert (sample["type"], sample["schema_version"]) == (NotificationCreated.type, NotificationCreated.schema_version)


def test_inboxes_have_a_numbering_of_their_own(sample):
    """Not that of the profile, nor that of the account: one subject has one increasing sequence."""
    assert sample["subject"] == str(Inbox(UUID(sample["data"]["user_id"])).id) != sample["data"]["user_id"]


def test_the_event_does_not_tell_what_is_new():
    """Everybody at the broker may read it, and whoever is blocked or muted must learn nothing of it."""
    inbox = Inbox(new_id())
    news = news_for(inbox, type="payment_failed", data={"amount": 1050})
    inbox.deliver(news, id=new_id())
    text = json.dumps(published(inbox, "c"))
    for secret in (str(news.actor_id), str(news.event_id), "payment_failed", "1050", "amount"):
        assert secret not in text


def test_people_are_told_of_these_events_and_no_others():
    found = {
        (entrypoint.source_service, entrypoint.event_type): name
        for each in NotificationRpc.__mro__
        for name, method in vars(each).items()
        for entrypoint in getattr(method, "nameko_entrypoints", ())
        if hasattr(entrypoint, "source_service")
    }
    assert found == SUBSCRIBERS

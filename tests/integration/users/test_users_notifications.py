"""Notifications on PostgreSQL: told once, numbered without gaps, counted exactly, and nobody else's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from tests.integration.users.conftest import NOON, told
from users_svc.application.close_profile import close_profile
from users_svc.application.delete_notification import delete_notification
from users_svc.application.list_notifications import list_notifications, notifications_after
from users_svc.application.mark_notification_read import mark_notification_read
from users_svc.application.notify import notify
from users_svc.domain.identity import Identity
from users_svc.domain.notification import NotificationNotFound
from users_svc.infrastructure.tables import (
    blocks,
    inbox,
    mutes,
    notification_inboxes,
    notifications,
    outbox,
    pending_notification_mails,
)


def shown(ports, user_id, **more):
    return list_notifications(ports, user_id=str(user_id), **more)


def numbers(page):
    return [each["number"] for each in page.data]


def is_exact(ports, rows, user_id):
    """Tell whether the unread count is that of the rows, and return it."""
    unread = sum(each["read_at"] is None for each in rows(notifications, user_id=user_id))
    assert shown(ports, user_id).unread == unread
    return unread


# --- telling ---


def test_what_happened_is_told_with_who_did_it(ports, ann, bob, tell):
    tell(ann, "followed", by=bob)
    event_id = tell(ann, data={"amount": 1050})
    page = shown(ports, ann)
    assert (numbers(page), page.unread, page.next_cursor) == ([2, 1], 2, None)
    payment, followed = page.data
    assert (payment["type"], payment["data"], payment["actor"]) == ("payment_succeeded", {"amount": 1050}, None)
    assert followed["type"] == "followed"
    assert followed["actor"] == {"id": bob, "handle": None, "display_name": "Bob", "avatar_url": None}
    assert followed["read_at"] is None
    assert event_id != str(payment["id"])


def test_an_inbox_that_nothing_has_come_to_is_empty(ports, ann):
    page = shown(ports, ann)
    assert (list(page.data), page.next_cursor, page.unread) == ([], None, 0)
    news = notifications_after(ports, user_id=str(ann), number=0)
    assert (list(news.rows), news.last, news.unread) == ([], 0, 0)


def test_one_event_is_told_once(ports, rows, ann, tell):
    event_id = tell(ann)
    tell(ann, event_id=event_id)
    assert numbers(shown(ports, ann)) == [1]
    assert len(rows(outbox, type="notification.created")) == 1


def test_one_event_is_told_once_even_when_the_note_of_it_is_gone(ports, rows, users_sessions, ann, tell):
    """Notes of events are kept for a time; an operator may replay all events later."""
    events = [tell(ann) for _ in range(3)]
    with users_sessions() as session:
        session.execute(sa.delete(inbox))
        session.commit()
    for event_id in events:
        tell(ann, event_id=event_id)
    assert numbers(shown(ports, ann)) == [3, 2, 1]
    assert [(each["last_number"], each["unread"]) for each in rows(notification_inboxes)] == [(3, 3)]
    tell(ann)
    assert numbers(shown(ports, ann)) == [4, 3, 2, 1]
    assert len(rows(outbox, type="notification.created")) == 4


def test_the_world_hears_that_there_is_something_and_not_what(rows, ann, bob, tell):
    tell(ann, "followed", by=bob)
    tell(ann, data={"amount": 1050})
    sent = [each["envelope"] for each in rows(outbox, type="notification.created")]
    assert [each["data"] for each in sent] == [
        {"user_id": str(ann), "number": 1, "unread": 1},
        {"user_id": str(ann), "number": 2, "unread": 2},
    ]
    assert {each["subject"] for each in sent} == {str(uuid5(ann, "notifications"))}
    assert [each["sequence"] for each in sent] == [1, 2]
    assert str(bob) not in str(sent)


@pytest.mark.parametrize("way", ["ann blocks bob", "ann mutes bob", "bob blocks ann"])
def test_nobody_is_told_of_somebody_unwelcome(ports, rows, users_sessions, ann, bob, tell, edge, way):
    table = mutes if "mutes" in way else blocks
    edge(table, *((bob, ann) if way.startswith("bob") else (ann, bob)))
    event_id = tell(ann, "followed", by=bob)
    assert list(shown(ports, ann).data) == []
    assert rows(outbox, type="notification.created") == rows(pending_notification_mails) == []
    tell(ann)
    assert numbers(shown(ports, ann)) == [1]
    # It was dealt with: that Bob is welcome later does not bring it back.
    assert rows(inbox, event_id=UUID(event_id))
    with users_sessions() as session:
        session.execute(sa.delete(table))
        session.commit()
    tell(ann, "followed", event_id=event_id, by=bob)
    assert numbers(shown(ports, ann)) == [1]


def test_bob_may_mute_ann_and_ann_still_hears_of_him(ports, ann, bob, tell, edge):
    edge(mutes, bob, ann)
    tell(ann, "followed", by=bob)
    assert numbers(shown(ports, ann)) == [1]


def test_what_somebody_does_not_want_is_not_told(ports, rows, ann, bob, tell, choose):
    choose(ann, types={"followed": {"in_app": False}})
    tell(ann, "followed", by=bob)
    tell(ann)
    assert [(each["number"], each["type"]) for each in shown(ports, ann).data] == [(1, "payment_succeeded")]
    assert len(rows(outbox, type="notification.created")) == 1


def test_a_security_notice_is_told_whatever_is_stored(ports, rows, ann, tell, choose):
    choose(ann, types={"password_changed": {"in_app": False, "email": True}})
    tell(ann, "password_changed", data={"method": "change"})
    assert [each["type"] for each in shown(ports, ann).data] == ["password_changed"]
    # auth_svc mails it.
    assert rows(pending_notification_mails) == []


def test_the_event_may_be_here_before_its_account(ports, tell):
    ann = new_id()
    ports.identities.add(Identity(ann, "ann@example.com", "Ann"))
    tell(ann)
    assert numbers(shown(ports, ann)) == [1]


def test_what_concerns_nobody_is_told_nobody(ports, rows, ann, tell):
    close_profile(ports, event_id=str(new_id()), user_id=str(ann))
    for user_id in (ann, new_id()):
        tell(user_id)
    assert rows(notifications) == rows(notification_inboxes) == rows(outbox) == []


def test_a_profile_that_goes_meanwhile_takes_its_notifications_along(ports, rows, ann, tell):
    tell(ann)
    goes = replace(ports, new_id=lambda: close_profile(ports, event_id=str(new_id()), user_id=str(ann)) or new_id())
    told(goes, ann)
    assert rows(notifications) == rows(notification_inboxes) == rows(pending_notification_mails) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"user_id": "nobody"},
        {"user_id": None},
        {"event_id": "x"},
        {"type": "lottery"},
        {"occurred_at": "noon"},
        {"occurred_at": "2026-01-31T12:00:00"},
        {"occurred_at": None},
    ],
)
def test_what_is_no_news_is_not_taken_as_done(ports, rows, ann, bad):
    news = {"event_id": str(new_id()), "user_id": str(ann), "type": "followed", "occurred_at": "2026-01-31T12:00:00Z"}
    with pytest.raises((ValueError, TypeError, AttributeError, KeyError)):
        notify(ports, **{**news, **bad})
    assert rows(inbox) == []


@pytest.mark.parametrize("change", [mark_notification_read, delete_notification])
def test_somebody_elses_notification_is_as_unknown_as_none(ports, rows, ann, bob, tell, change):
    tell(ann)
    theirs = str(shown(ports, ann).data[0]["id"])
    refusals = set()
    for wanted in (theirs, str(new_id()), "nothing", "", None, 7, "{" + theirs + "}", theirs.replace("-", "")):
        with pytest.raises(NotificationNotFound) as refused:
            change(ports, user_id=str(bob), notification_id=wanted)
        refusals.add((refused.value.code, refused.value.message, str(refused.value.details)))
    assert len(refusals) == 1
    assert is_exact(ports, rows, ann) == 1


# --- mails that wait ---


def test_a_mail_waits_a_minute_and_through_the_quiet_hours(post, rows, ann, bob, person, choose):
    carl = person("Carl", time_zone="Asia/Tokyo")
    choose(carl, quiet_hours={"enabled": True, "from": "21:00", "to": "07:00"})
    told(post, ann, data={"amount": 7})
    told(post, carl)
    told(post, bob, "followed", by=ann)
    (mail,), (quiet,) = rows(pending_notification_mails, user_id=ann), rows(pending_notification_mails, user_id=carl)
    assert mail["due_at"] == NOON + timedelta(minutes=1)
    assert (mail["type"], mail["data"], mail["created_at"], mail["attempts"]) == (
        "payment_succeeded",
        {"amount": 7},
        NOON,
        0,
    )
    # Seven in the morning of Tokyo.
    assert quiet["due_at"] == datetime(2026, 1, 31, 22, 0, tzinfo=UTC)
    assert mail["notification_id"] == rows(notifications, user_id=ann)[0]["id"]
    assert rows(pending_notification_mails, user_id=bob) == []


def test_somebody_may_want_the_mail_alone(ports, rows, ann, bob, tell, choose):
    choose(ann, types={"followed": {"in_app": False, "email": True}})
    tell(ann, "followed", event_id=tell(ann, "followed", by=bob), by=bob)
    assert [each["actor_id"] for each in rows(pending_notification_mails)] == [bob]
    assert list(shown(ports, ann).data) == []

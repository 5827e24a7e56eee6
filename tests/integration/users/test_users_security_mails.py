"""Notices of security reach the mailbox at once, whatever is chosen, read or deleted."""

import pytest

from tests.integration.users.conftest import NOON, plain, told
from users_svc.application.delete_notification import delete_notification
from users_svc.application.get_preferences import get_preferences
from users_svc.application.list_notifications import list_notifications
from users_svc.application.mark_all_notifications_read import mark_all_notifications_read
from users_svc.application.mark_notification_read import mark_notification_read
from users_svc.application.send_notification_mails import send_notification_mails

SAID = {
    "login_locked": ({"method": "pwd"}, "too many failed sign-ins"),
    "roles_changed": ({"roles": ["finance", "user"]}, "your rights have changed"),
    "sessions_ended": ({"reason": "admin"}, "we have signed out all of your devices"),
}
AROUND_NOON = {"enabled": True, "from": "11:00", "to": "13:00"}


@pytest.mark.parametrize("type", SAID)
def test_they_leave_at_once_in_quiet_hours_too(post, server, ann, choose, pending, type):
    choose(ann, types={type: {"in_app": False, "email": False}}, quiet_hours=AROUND_NOON)
    data, subject = SAID[type]
    told(post, ann, type, data=data)
    assert [each["due_at"] for each in pending()] == [NOON]
    assert send_notification_mails(post) == 1
    (mail,) = server.received
    assert mail.recipients == ["ann@example.com"]
    assert mail.message["Subject"] == f"Leveret: {subject}"
    assert mail.message["List-Unsubscribe"] is None
    assert "http://localhost:3000/pages/forgot-password" in plain(mail)
    assert list_notifications(post, user_id=str(ann)).unread == 1


def read_one(ports, user_id, notification_id):
    mark_notification_read(ports, user_id=user_id, notification_id=notification_id)


def read_all(ports, user_id, notification_id):
    mark_all_notifications_read(ports, user_id=user_id)


def delete(ports, user_id, notification_id):
    delete_notification(ports, user_id=user_id, notification_id=notification_id)


@pytest.mark.parametrize("what", [read_one, read_all, delete])
def test_whoever_has_broken_in_cannot_keep_them_back(post, server, clock, ann, pending, what):
    told(post, ann, "login_locked", data={"method": "pwd"})
    told(post, ann, data={"amount": 1, "currency": "EUR"})
    for each in list_notifications(post, user_id=str(ann)).data:
        what(post, str(ann), str(each["id"]))
    assert [each["type"] for each in pending()] == ["login_locked"]
    assert send_notification_mails(post) == 1


def test_the_preferences_say_so(post, ann):
    types = get_preferences(post, user_id=str(ann), kind="notification_preferences").values()["types"]
    for type in (*SAID, "password_changed", "email_changed", "refresh_reused"):
        assert types[type] == {"in_app": True, "email": True}


@pytest.mark.parametrize("type", ["password_changed", "email_changed", "refresh_reused"])
def test_what_auth_svc_mails_is_not_mailed_twice(post, ann, pending, type):
    told(post, ann, type)
    assert [each["type"] for each in list_notifications(post, user_id=str(ann)).data] == [type]
    assert pending() == []

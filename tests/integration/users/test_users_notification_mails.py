"""Mails about notifications: when they leave, and what they say. The SMTP server is aiosmtpd."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from tests.integration.users.conftest import NOON, plain, told
from tests.integration.users.connecting import do
from users_svc.application.close_profile import close_profile
from users_svc.application.list_notifications import list_notifications
from users_svc.application.mark_notification_read import mark_notification_read
from users_svc.application.send_notification_mails import send_notification_mails
from users_svc.infrastructure.tables import blocks, mutes, profiles

DUE = NOON + timedelta(minutes=1)
PAID = {"payment_id": "019c13f8-2ee0-7b1c-8d2e-3f4a5b6c7d8e", "amount": 1050, "currency": "EUR"}
WANTED = {"types": {"followed": {"email": True}}}


@pytest.fixture
def tell(post):
    def tell(user_id, type="payment_succeeded", *, by=None, data=PAID):
        told(post, user_id, type, by=by, data=data)

    return tell


# --- when ---


def test_a_mail_leaves_a_minute_after_the_notification_and_once(post, server, clock, ann, tell, pending):
    tell(ann)
    clock.now = DUE - timedelta(microseconds=1)
    assert send_notification_mails(post) == 0
    clock.now = DUE
    assert send_notification_mails(post) == 1
    assert send_notification_mails(post) == 0
    (mail,) = server.received
    assert mail.recipients == ["ann@example.com"]
    assert pending() == []
    assert post.mail_tally.counted == [("payment_succeeded", "sent", "")]


def test_what_is_read_in_time_is_not_mailed(post, server, clock, ann, tell):
    tell(ann)
    (notification,) = list_notifications(post, user_id=str(ann)).data
    mark_notification_read(post, user_id=str(ann), notification_id=str(notification["id"]))
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert server.received == []


def test_quiet_hours_that_were_set_later_are_kept(post, server, clock, ann, tell, choose, pending):
    tell(ann)
    choose(ann, quiet_hours={"enabled": True, "from": "12:00", "to": "13:00"})
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert [each["due_at"] for each in pending()] == [NOON + timedelta(hours=1)]
    clock.now = NOON + timedelta(hours=1)
    assert send_notification_mails(post) == 1
    assert len(server.received) == 1


def test_a_type_that_was_switched_off_meanwhile_is_not_mailed(post, server, clock, ann, tell, choose, pending):
    tell(ann)
    choose(ann, types={"payment_succeeded": {"email": False}})
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert pending() == server.received == []
    assert post.mail_tally.counted == [("payment_succeeded", "dropped", "unwanted")]


@pytest.mark.parametrize(
    "way, reason",
    [
        ("blocks", "unwelcome"),
        ("blocked", "unwelcome"),
        ("mutes", "unwelcome"),
        ("disabled", "no_actor"),
        ("deleted", "no_actor"),
        ("reader disabled", "no_reader"),
        ("reader deleted", None),
    ],
)
def test_a_mail_that_has_no_sense_any_more_is_not_sent(
    post, server, clock, ann, bob, tell, choose, change, edge, pending, way, reason
):
    choose(ann, **WANTED)
    do(post, "follow", bob, ann)
    tell(ann, "followed", by=bob, data={})
    match way:
        case "blocks":
            edge(blocks, ann, bob)
        case "blocked":
            edge(blocks, bob, ann)
        case "mutes":
            edge(mutes, ann, bob)
        case "disabled" | "reader disabled":
            who = bob if way == "disabled" else ann
            change(sa.update(profiles).where(profiles.c.id == who).values(disabled=True))
        case _:
            who = bob if way == "deleted" else ann
            close_profile(post, event_id=str(new_id()), user_id=str(who))
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert pending() == server.received == []
    # With an account its mails go, too.
    assert post.mail_tally.counted == ([] if reason is None else [("followed", "dropped", reason)])


# --- what ---


def test_a_mail_tells_what_happened_and_how_to_get_no_more(post, server, clock, ann, tell):
    tell(ann)
    clock.now = DUE
    send_notification_mails(post)
    (mail,) = server.received
    assert mail.message["Subject"] == "Leveret: you have paid 10.50 EUR"
    assert mail.message["To"] == "ann@example.com"
    text = plain(mail)
    assert text.startswith("Hello Ann,\n\nYour payment of 10.50 EUR was successful.\n")
    assert f"\nPayment: {PAID['payment_id']}\n" in text
    assert "\nWhen: 2026-01-31 12:00 UTC\n" in text
    link = mail.message["List-Unsubscribe"].strip("<>")
    assert link.startswith("http://localhost:3000/api/v1/users/unsubscribe?token=")
    assert link in text
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"\r\nList-Unsubscribe: <{link}>\r\n".encode() in mail.content
    assert post.unsubscribe_tokens.read(link.partition("token=")[2]) == (ann, "payment_succeeded")


def test_a_mail_names_who_did_it_as_the_reader_may_see_them(post, server, clock, ann, person, tell, choose):
    choose(ann, **WANTED)
    bob = person("Bob\u202e {site}", handle="bob")
    eve = person("Eve", visibility={"display_name": "followers"})
    for each in (bob, eve):
        do(post, "follow", each, ann)
        tell(ann, "followed", by=each, data={})
        clock.now += timedelta(seconds=1)
    clock.now = DUE + timedelta(seconds=1)
    assert send_notification_mails(post) == 2
    assert [each.message["Subject"] for each in server.received] == [
        "Leveret: Bob {site} follows you",
        "Leveret: Somebody follows you",
    ]
    assert "Eve" not in plain(server.received[1])

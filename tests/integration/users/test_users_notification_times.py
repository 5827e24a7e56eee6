"""A notification says when it happened, whenever it is told; what is told too late is in the inbox and in no mail."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.integration.users.conftest import NOON, plain, told
from users_svc.application.list_notifications import list_notifications
from users_svc.application.purge_notifications import purge_notifications
from users_svc.application.send_notification_mails import send_notification_mails
from users_svc.domain.notification_rules import NotificationRules
from users_svc.infrastructure.tables import inbox

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
PAID = {"amount": 1050, "currency": "EUR"}


def shown(ports, user_id):
    return [(each["number"], each["created_at"]) for each in list_notifications(ports, user_id=str(user_id)).data]


def test_it_happened_when_the_event_says_and_its_place_is_its_number(post, ann):
    """Events of several services, or of one that was away, come in any order."""
    for hours in (1, 3, 2):
        told(post, ann, at=NOON - timedelta(hours=hours))
    assert shown(post, ann) == [
        (3, NOON - timedelta(hours=2)),
        (2, NOON - timedelta(hours=3)),
        (1, NOON - timedelta(hours=1)),
    ]


def test_it_never_happens_in_the_future(post, ann):
    told(post, ann, at=NOON + DAY)
    assert shown(post, ann) == [(1, NOON)]


def test_a_mail_says_when_it_happened_and_not_when_it_was_sent(post, server, clock, ann):
    told(post, ann, data=PAID, at=NOON - timedelta(hours=7))
    clock.now = NOON + timedelta(minutes=1)
    assert send_notification_mails(post) == 1
    assert "\nWhen: 2026-01-31 05:00 UTC\n" in plain(server.received[0])


@pytest.mark.parametrize("type", ["payment_succeeded", "login_locked", "followed"])
@pytest.mark.parametrize("age, mailed", [(2 * DAY, True), (2 * DAY + SECOND, False)])
def test_old_news_is_told_and_not_mailed(post, ann, bob, choose, pending, type, age, mailed):
    choose(ann, types={"followed": {"email": True}})
    told(post, ann, type, by=bob if type == "followed" else None, at=NOON - age)
    assert shown(post, ann) == [(1, NOON - age)]
    assert len(pending()) == mailed
    assert post.mail_tally.counted == ([] if mailed else [(type, "dropped", "too_old")])


def test_what_grew_old_while_the_service_was_away_is_not_mailed(post, server, clock, ann, pending):
    told(post, ann, data=PAID)
    told(post, ann, data=PAID, at=NOON + DAY)
    clock.now = NOON + 2 * DAY + SECOND
    told(post, ann, data=PAID)
    clock.now += timedelta(minutes=1)
    assert send_notification_mails(post) == 1
    assert post.mail_tally.counted == 2 * [("payment_succeeded", "dropped", "too_old")] + [
        ("payment_succeeded", "sent", "")
    ]
    assert (len(server.received), pending()) == (1, [])


def test_all_events_again_after_a_purge_bring_nothing_back(post, clock, ann, change, pending):
    """An operator may send events again long after; what was read and purged would be unread once more."""
    events = [told(post, ann, at=NOON) for _ in range(3)]
    change(sa.text("UPDATE notifications SET read_at = created_at"))
    change(sa.text("UPDATE notification_inboxes SET unread = 0"))
    clock.now = NOON + 90 * DAY + SECOND
    assert purge_notifications(post) == 3
    change(sa.delete(inbox))
    for event_id in events:
        told(post, ann, event_id=event_id, at=NOON)
    assert shown(post, ann) == []
    told(post, ann)
    assert shown(post, ann) == [(4, clock.now)]


def test_how_old_news_may_be_is_as_long_as_it_would_be_kept(post, ann):
    short = replace(post, notification_rules=NotificationRules(read_kept=10 * DAY, kept=5 * DAY))
    told(short, ann, at=NOON - 5 * DAY)
    told(short, ann, at=NOON - 5 * DAY - SECOND)
    assert shown(post, ann) == [(1, NOON - 5 * DAY)]

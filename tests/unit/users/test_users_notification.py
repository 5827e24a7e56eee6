"""An inbox counts: whatever is delivered, read and deleted in whatever order, it knows how many are unread."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.context import ANONYMOUS, SYSTEM, Actor, NotAllowed, NotSignedIn
from lib.ids import new_id
from users_svc.domain.notification import Inbox, News
from users_svc.domain.notification_rules import NotificationRules
from users_svc.presentation.service import UsersService

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
ANN, BOB = str(new_id()), str(new_id())
RPCS = (
    "list_notifications",
    "notifications_after",
    "mark_notification_read",
    "mark_all_notifications_read",
    "delete_notification",
)


def news(inbox):
    return News(
        user_id=inbox.user_id, type="followed", event_id=new_id(), happened_at=NOON, actor_id=new_id(), data={"a": 1}
    )


@given(st.lists(st.tuples(st.sampled_from(["deliver", "read", "delete"]), st.integers(0, 30))))
def test_unread_is_what_is_left_and_not_read(actions):
    inbox, kept = Inbox(new_id()), []
    for what, which in actions:
        if what == "deliver":
            kept.append(inbox.deliver(news(inbox), id=new_id()))
        elif kept and what == "read":
            inbox.mark_read(kept[which % len(kept)], NOON)
        elif kept:
            inbox.let_go(kept.pop(which % len(kept)))
        assert (inbox.unread, inbox.kept) == (sum(each.read_at is None for each in kept), len(kept))
    delivered = sum(what == "deliver" for what, _ in actions)
    assert inbox.sequence == delivered
    events = inbox.pull_events()
    assert (
        [sequence for sequence, _ in events] == [event.number for _, event in events] == list(range(1, delivered + 1))
    )


def test_what_is_delivered_is_the_news():
    inbox = Inbox(new_id(), sequence=4)
    told, id = news(inbox), new_id()
    notification = inbox.deliver(told, id=id)
    assert (notification.id, notification.number, notification.created_at) == (id, 5, NOON)
    assert (notification.user_id, notification.type, notification.data) == (inbox.user_id, "followed", {"a": 1})
    assert (notification.actor_id, notification.event_id, notification.read_at) == (told.actor_id, told.event_id, None)


def test_what_is_purged_is_counted_and_takes_no_number():
    inbox = Inbox(new_id(), sequence=9, unread=4, kept=7)
    inbox.purge(3, unread=1)
    assert (inbox.sequence, inbox.unread, inbox.kept) == (9, 3, 4)
    assert inbox.deliver(news(inbox), id=new_id()).number == 10


@pytest.mark.parametrize(
    "read_kept, kept, age, is_news",
    [
        (90, 365, timedelta(days=90), True),
        (90, 365, timedelta(days=90, microseconds=1), False),
        (90, 30, timedelta(days=30), True),
        (90, 30, timedelta(days=31), False),
        (90, 365, timedelta(0), True),
    ],
)
def test_what_may_have_been_purged_is_no_news(read_kept, kept, age, is_news):
    rules = NotificationRules(read_kept=timedelta(days=read_kept), kept=timedelta(days=kept))
    assert rules.is_news(NOON - age, NOON) is is_news


def test_it_was_read_when_it_was_read_first():
    inbox = Inbox(new_id())
    notification = inbox.deliver(news(inbox), id=new_id())
    inbox.mark_read(notification, NOON)
    inbox.mark_read(notification, NOON.replace(hour=13))
    assert (notification.read_at, inbox.unread) == (NOON, 0)


@pytest.mark.parametrize("method", RPCS)
def test_an_inbox_is_its_owners(method):
    (entrypoint,) = getattr(UsersService, method).nameko_entrypoints
    assert getattr(UsersService, method).__doc__
    for actor in (SYSTEM, Actor("account", id=ANN)):
        entrypoint.allow(actor, {"user_id": ANN})
    with pytest.raises(NotSignedIn):
        entrypoint.allow(ANONYMOUS, {"user_id": ANN})
    for actor in (Actor("account", id=BOB), Actor("account", id=BOB, roles=frozenset({"admin", "support"}))):
        with pytest.raises(NotAllowed):
            entrypoint.allow(actor, {"user_id": ANN})

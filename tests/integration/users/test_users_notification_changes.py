"""Reading and deleting notifications: counted once, and exactly whatever happens at the same time."""

import random
import threading
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from lib.ids import new_id
from tests.fakes.users import FakeIdentities
from tests.integration.users.conftest import told
from tests.integration.users.test_users_races import together
from users_svc.application.close_profile import close_profile
from users_svc.application.delete_notification import delete_notification
from users_svc.application.list_notifications import list_notifications, notifications_after
from users_svc.application.mark_all_notifications_read import mark_all_notifications_read
from users_svc.application.mark_notification_read import mark_notification_read
from users_svc.domain.notification import NotificationNotFound
from users_svc.domain.profile import UserNotFound
from users_svc.infrastructure.tables import notification_inboxes, notifications, outbox, pending_notification_mails


def at_once(number, call):
    together(*(partial(call, at) for at in range(number)))


def shown(ports, user_id, **more):
    return list_notifications(ports, user_id=str(user_id), **more)


def numbers(page):
    return [each["number"] for each in page.data]


def is_exact(ports, rows, user_id):
    """Tell whether the unread count is that of the rows, and return it."""
    unread = sum(each["read_at"] is None for each in rows(notifications, user_id=user_id))
    assert shown(ports, user_id).unread == unread
    return unread


# --- read, delete ---


def test_read_counts_once(ports, rows, ann, tell):
    tell(ann)
    tell(ann)
    wanted = str(shown(ports, ann).data[0]["id"])
    mark_notification_read(ports, user_id=str(ann), notification_id=wanted)
    at = shown(ports, ann).data[0]["read_at"]
    assert at is not None
    mark_notification_read(ports, user_id=str(ann), notification_id=wanted.upper())
    assert (shown(ports, ann).unread, shown(ports, ann).data[0]["read_at"]) == (1, at)
    assert [str(each["notification_id"]) for each in rows(pending_notification_mails)] != [wanted]
    assert len(rows(pending_notification_mails)) == 1


def test_all_are_read_up_to_the_newest_that_was_seen(ports, rows, ann, bob, tell):
    for _ in range(5):
        tell(ann)
    tell(bob)
    mark_all_notifications_read(ports, user_id=str(ann), up_to=3)
    assert [each["read_at"] is None for each in shown(ports, ann).data] == [True, True, False, False, False]
    assert is_exact(ports, rows, ann) == 2
    assert len(rows(pending_notification_mails, user_id=ann)) == 2
    for _ in range(2):
        mark_all_notifications_read(ports, user_id=str(ann))
        assert is_exact(ports, rows, ann) == 0
    assert rows(pending_notification_mails, user_id=ann) == []
    assert shown(ports, bob).unread == len(rows(pending_notification_mails)) == 1


def test_what_is_deleted_is_gone_and_its_number_stays_free(ports, rows, ann, tell):
    for _ in range(3):
        tell(ann)
    three, two, _ = (str(each["id"]) for each in shown(ports, ann).data)
    mark_notification_read(ports, user_id=str(ann), notification_id=two)
    for each in (two, three):
        delete_notification(ports, user_id=str(ann), notification_id=each)
    assert is_exact(ports, rows, ann) == 1
    with pytest.raises(NotificationNotFound):
        delete_notification(ports, user_id=str(ann), notification_id=three)
    assert len(rows(pending_notification_mails)) == 1
    tell(ann)
    assert numbers(shown(ports, ann)) == [4, 1]


@pytest.mark.parametrize(
    "ask",
    [
        lambda ports, who: list_notifications(ports, user_id=who),
        lambda ports, who: notifications_after(ports, user_id=who, number=0),
        lambda ports, who: mark_all_notifications_read(ports, user_id=who),
        lambda ports, who: mark_notification_read(ports, user_id=who, notification_id=str(new_id())),
    ],
)
def test_what_is_no_id_is_no_user(ports, ask):
    with pytest.raises(UserNotFound):
        ask(ports, "nobody")


def test_an_account_without_a_profile_has_read_everything(ports, rows):
    mark_all_notifications_read(ports, user_id=str(new_id()))
    assert rows(notification_inboxes) == []


# --- at the same time ---


def test_parallel_deliveries_of_the_same_events_are_told_once_each(ports, rows, ann):
    """Fifty deliveries of twenty events at once."""
    events = [str(new_id()) for _ in range(20)]
    deliveries = [*events, *events, *events[:10]]
    random.Random(7).shuffle(deliveries)

    def deliver(at):
        told(ports, ann, event_id=deliveries[at])

    at_once(50, deliver)
    page = shown(ports, ann, limit=100)
    assert numbers(page) == list(range(20, 0, -1))
    assert page.unread == is_exact(ports, rows, ann) == 20
    assert Counter(str(each["event_id"]) for each in rows(notifications)) == Counter(events)
    sent = [each["envelope"]["data"] for each in sorted(rows(outbox), key=lambda each: each["position"])]
    assert [each["number"] for each in sent] == [each["unread"] for each in sent] == list(range(1, 21))


def test_numbers_come_in_the_order_of_commits(ports, ann):
    """Whoever has read up to a number finds nothing smaller later: a stream would lose it."""
    gaps, done = [], threading.Event()

    def watch():
        last = 0
        while True:
            ended = done.is_set()
            for each in notifications_after(ports, user_id=str(ann), number=last).rows:
                if each["number"] != last + 1:
                    gaps.append((last, each["number"]))
                last = each["number"]
            if ended:
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        at_once(40, lambda _: told(ports, ann))
    finally:
        done.set()
        watcher.join()
    assert gaps == []
    assert numbers(shown(ports, ann, limit=100)) == list(range(40, 0, -1))


def test_read_and_deleted_at_once_the_unread_count_stays_exact(ports, rows, ann, tell):
    for _ in range(30):
        tell(ann)
    ids = [str(each["id"]) for each in shown(ports, ann, limit=100).data]
    chance = random.Random(11)
    plan = [(chance.choice(("read", "read", "delete", "delete", "all", "tell")), chance.choice(ids)) for _ in range(48)]

    def act(at):
        what, wanted = plan[at]
        try:
            if what == "read":
                mark_notification_read(ports, user_id=str(ann), notification_id=wanted)
            elif what == "delete":
                delete_notification(ports, user_id=str(ann), notification_id=wanted)
            elif what == "all":
                mark_all_notifications_read(ports, user_id=str(ann), up_to=chance.randrange(10, 30))
            else:
                tell(ann)
        except NotificationNotFound:
            pass

    at_once(len(plan), act)
    is_exact(ports, rows, ann)
    (state,) = rows(notification_inboxes)
    assert state["last_number"] == 30 + sum(what == "tell" for what, _ in plan)
    left = rows(notifications)
    assert state["kept"] == len(left)
    assert {each["notification_id"] for each in rows(pending_notification_mails)} <= {each["id"] for each in left}


def test_a_deletion_of_the_account_and_its_news_do_not_wait_for_each_other_for_ever(ports, rows, person):
    people = [person(f"Person {number}") for number in range(8)]

    def act(at):
        who = str(people[at % 8])
        if at < 8:
            close_profile(ports, event_id=str(new_id()), user_id=who)
        elif at % 3:
            told(ports, who)
        else:
            mark_all_notifications_read(ports, user_id=who)

    ports = replace(ports, identities=FakeIdentities())
    at_once(40, act)
    assert rows(notifications) == rows(notification_inboxes) == rows(pending_notification_mails) == []

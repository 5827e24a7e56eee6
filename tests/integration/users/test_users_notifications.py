"""Notifications on PostgreSQL: told once, numbered without gaps, counted exactly."""

import random
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from tests.fakes.users import FakeIdentities
from tests.integration.users.test_users_races import together
from users_svc.application.close_profile import close_profile
from users_svc.application.delete_notification import delete_notification
from users_svc.application.list_notifications import list_notifications, notifications_after
from users_svc.application.mark_all_notifications_read import mark_all_notifications_read
from users_svc.application.mark_notification_read import mark_notification_read
from users_svc.application.notification_pages import InvalidCursor, InvalidLimit, InvalidNumber
from users_svc.application.notify import notify
from users_svc.domain.identity import Identity
from users_svc.domain.notification import NotificationNotFound
from users_svc.domain.profile import UserNotFound
from users_svc.infrastructure.tables import (
    blocks,
    follows,
    inbox,
    mutes,
    notification_inboxes,
    notifications,
    outbox,
    pending_notification_mails,
    preference_records,
)

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.fixture
def ann(person):
    return person("Ann")


@pytest.fixture
def bob(person):
    return person("Bob")


@pytest.fixture
def tell(ports):
    """Tell somebody something, by default that they have paid; return the event's id."""

    def tell(user_id, type="payment_succeeded", *, event_id=None, by=None, data=None, at=None):
        event_id = event_id or str(new_id())
        told = replace(ports, now=lambda: at) if at else ports
        actor = None if by is None else str(by)
        notify(told, event_id=event_id, user_id=str(user_id), type=type, data=data, actor_id=actor)
        return event_id

    return tell


@pytest.fixture
def rows(users_sessions):
    def rows(table, **wanted):
        found = users_sessions.all(sa.select(table))
        return [each for each in found if all(each[name] == value for name, value in wanted.items())]

    return rows


@pytest.fixture
def edge(users_sessions):
    def add(table, source, target):
        first, second = list(table.columns)[:2]
        with users_sessions() as session:
            values = {first.name: source, second.name: target, "id": new_id(), "created_at": NOON}
            session.execute(sa.insert(table).values(values))
            session.commit()

    return add


@pytest.fixture
def choose(users_sessions):
    """Store what somebody wants to be told of."""

    def choose(user_id, **data):
        with users_sessions() as session:
            session.execute(
                sa.insert(preference_records).values(
                    user_id=user_id,
                    kind="notification_preferences",
                    schema_version=1,
                    data=data,
                    version=1,
                    updated_at=NOON,
                )
            )
            session.commit()

    return choose


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
    told = [each["envelope"] for each in rows(outbox, type="notification.created")]
    assert [each["data"] for each in told] == [
        {"user_id": str(ann), "number": 1, "unread": 1},
        {"user_id": str(ann), "number": 2, "unread": 2},
    ]
    assert {each["subject"] for each in told} == {str(ann)}
    assert [each["sequence"] for each in told] == [1, 2]
    assert str(bob) not in str(told)


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
    notify(goes, event_id=str(new_id()), user_id=str(ann), type="payment_succeeded")
    assert rows(notifications) == rows(notification_inboxes) == rows(pending_notification_mails) == []


@pytest.mark.parametrize("bad", [{"user_id": "nobody"}, {"user_id": None}, {"event_id": "x"}, {"type": "lottery"}])
def test_what_is_no_news_is_not_taken_as_done(ports, rows, ann, bad):
    news = {"event_id": str(new_id()), "user_id": str(ann), "type": "followed", **bad}
    with pytest.raises((ValueError, TypeError, AttributeError, KeyError)):
        notify(ports, **news)
    assert rows(inbox) == []


# --- mails that wait ---


def test_a_mail_waits_a_minute_and_through_the_quiet_hours(rows, ann, bob, person, tell, choose):
    carl = person("Carl", time_zone="Asia/Tokyo")
    choose(carl, quiet_hours={"enabled": True, "from": "21:00", "to": "07:00"})
    tell(ann, at=NOON, data={"amount": 7})
    tell(carl, at=NOON)
    tell(bob, "followed", by=ann, at=NOON)
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


# --- reading ---


def test_pages_go_through_all_newest_first(ports, ann, tell):
    for _ in range(7):
        tell(ann)
    first = shown(ports, ann, limit=3)
    assert (numbers(first), first.unread) == ([7, 6, 5], 7)
    tell(ann)
    second = shown(ports, ann, limit=3, cursor=first.next_cursor)
    third = shown(ports, ann, limit=3, cursor=second.next_cursor)
    assert (numbers(second), numbers(third), third.next_cursor) == ([4, 3, 2], [1], None)
    assert shown(ports, ann, limit=8).next_cursor is None


def test_a_list_of_what_is_unread(ports, ann, tell):
    for _ in range(6):
        tell(ann)
    for each in shown(ports, ann).data[::2]:
        mark_notification_read(ports, user_id=str(ann), notification_id=str(each["id"]))
    first = shown(ports, ann, unread_only=True, limit=2)
    assert (numbers(first), first.unread) == ([5, 3], 3)
    assert numbers(shown(ports, ann, unread_only=True, cursor=first.next_cursor)) == [1]


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", 7, "ü" * 20, "A" * 20, "=" * 20, "A" * 10_000, "\0", "\ud800"])
def test_what_is_no_cursor_is_refused(ports, ann, tell, cursor):
    tell(ann)
    with pytest.raises(InvalidCursor):
        shown(ports, ann, cursor=cursor)


def test_a_cursor_fits_one_list_and_no_letter_of_it_may_change(ports, ann, bob, tell):
    for user_id in (ann, bob) * 2:
        tell(user_id)
    cursor = shown(ports, ann, limit=1).next_cursor
    with pytest.raises(InvalidCursor):
        shown(ports, bob, cursor=cursor)
    for at in range(len(cursor)):
        with pytest.raises(InvalidCursor):
            shown(ports, ann, cursor=cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :])


@pytest.mark.parametrize("limit", [0, -1, 101, True, "20", None, 2.5])
def test_a_page_has_a_limit(ports, ann, limit):
    with pytest.raises(InvalidLimit):
        shown(ports, ann, limit=limit)
    with pytest.raises(InvalidLimit):
        notifications_after(ports, user_id=str(ann), number=0, limit=limit)


def test_whoever_has_some_gets_the_rest_in_order(ports, ann, bob, tell):
    for _ in range(5):
        tell(ann, "followed", by=bob)
    news = notifications_after(ports, user_id=str(ann), number=2)
    assert ([each["number"] for each in news.rows], news.last, news.unread) == ([3, 4, 5], 5, 5)
    assert {each["actor"]["display_name"] for each in news.rows} == {"Bob"}
    part = notifications_after(ports, user_id=str(ann), number=0, limit=2)
    assert ([each["number"] for each in part.rows], part.last) == ([1, 2], 5)
    for number in (5, 2**53 - 1, None):
        none = notifications_after(ports, user_id=str(ann), number=number)
        assert (list(none.rows), none.last, none.unread) == ([], 5, 5)


@pytest.mark.parametrize("number", [-1, 2**53, True, "1", 1.0])
def test_a_number_is_a_whole_one(ports, ann, number):
    with pytest.raises(InvalidNumber):
        notifications_after(ports, user_id=str(ann), number=number)
    with pytest.raises(InvalidNumber):
        mark_all_notifications_read(ports, user_id=str(ann), up_to=number)


@pytest.mark.parametrize("way", ["blocks", "disabled", "deleted"])
def test_an_actor_who_is_not_there_any_more_is_nobody(ports, person, ann, tell, edge, way):
    dan = person("Dan", disabled=way == "disabled")
    tell(ann, "followed", by=dan)
    if way == "blocks":
        edge(blocks, dan, ann)
    if way == "deleted":
        close_profile(ports, event_id=str(new_id()), user_id=str(dan))
    (told,) = shown(ports, ann).data
    assert (told["type"], told["actor"]) == ("followed", None)
    assert str(dan) not in str(told)


def test_of_an_actor_is_shown_what_their_owner_shows_to_whoever_looks(ports, person, ann, tell, edge):
    names = {"handle": "followers", "display_name": "mutuals", "avatar_url": "private"}
    eve = person("Eve", handle="eve", avatar_url="https://example.com/eve.png", visibility=names)
    tell(ann, "followed", by=eve)
    shown_to_stranger = {"id": eve, "handle": None, "display_name": None, "avatar_url": None}
    assert shown(ports, ann).data[0]["actor"] == shown_to_stranger
    edge(follows, eve, ann)
    assert shown(ports, ann).data[0]["actor"] == shown_to_stranger
    edge(follows, ann, eve)
    expected = {"id": eve, "handle": "eve", "display_name": "Eve", "avatar_url": None}
    assert shown(ports, ann).data[0]["actor"] == expected
    assert notifications_after(ports, user_id=str(ann), number=0).rows[0]["actor"] == expected


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


def test_parallel_deliveries_of_the_same_events_are_told_once_each(ports, rows, ann, bob):
    """Fifty deliveries of twenty events at once."""
    events = [str(new_id()) for _ in range(20)]
    deliveries = [*events, *events, *events[:10]]
    random.Random(7).shuffle(deliveries)

    def deliver(at):
        notify(ports, event_id=deliveries[at], user_id=str(ann), type="followed", actor_id=str(bob))

    at_once(50, deliver)
    page = shown(ports, ann, limit=100)
    assert numbers(page) == list(range(20, 0, -1))
    assert page.unread == is_exact(ports, rows, ann) == 20
    assert Counter(str(each["event_id"]) for each in rows(notifications)) == Counter(events)
    told = [each["envelope"]["data"] for each in sorted(rows(outbox), key=lambda each: each["position"])]
    assert [each["number"] for each in told] == [each["unread"] for each in told] == list(range(1, 21))


def test_numbers_come_in_the_order_of_commits(ports, ann, bob):
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
        at_once(
            40, lambda _: notify(ports, event_id=str(new_id()), user_id=str(ann), type="followed", actor_id=str(bob))
        )
    finally:
        done.set()
        watcher.join()
    assert gaps == []
    assert numbers(shown(ports, ann, limit=100)) == list(range(40, 0, -1))


def test_read_and_deleted_at_once_the_unread_count_stays_exact(ports, rows, ann, bob, tell):
    for _ in range(30):
        tell(ann, "followed", by=bob)
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
    assert {each["notification_id"] for each in rows(pending_notification_mails)} <= {each["id"] for each in left}


def test_a_deletion_of_the_account_and_its_news_do_not_wait_for_each_other_for_ever(ports, rows, person):
    people = [person(f"Person {number}") for number in range(8)]

    def act(at):
        who = str(people[at % 8])
        if at < 8:
            close_profile(ports, event_id=str(new_id()), user_id=who)
        elif at % 3:
            notify(ports, event_id=str(new_id()), user_id=who, type="payment_succeeded")
        else:
            mark_all_notifications_read(ports, user_id=who)

    ports = replace(ports, identities=FakeIdentities())
    at_once(40, act)
    assert rows(notifications) == rows(notification_inboxes) == rows(pending_notification_mails) == []

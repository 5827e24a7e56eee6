"""Notifications do not stay for ever: what goes, what stays, and that all counts and numbers stay right."""

import random
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from tests.integration.users.conftest import NOON, told
from tests.integration.users.test_users_races import together
from users_svc.application.close_profile import close_profile
from users_svc.application.delete_notification import delete_notification
from users_svc.application.list_notifications import list_notifications, notifications_after
from users_svc.application.mark_all_notifications_read import mark_all_notifications_read
from users_svc.application.mark_notification_read import mark_notification_read
from users_svc.application.purge_notifications import purge_notifications
from users_svc.domain.notification import NotificationNotFound
from users_svc.domain.notification_rules import NotificationRules
from users_svc.infrastructure.tables import (
    notification_inboxes,
    notifications,
    pending_notification_mails,
    profiles,
    social_mails,
)

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.fixture
def few(post):
    """The ports of an operator who lets three notifications stay."""
    return replace(post, notification_rules=NotificationRules(most=3))


def numbers(ports, user_id):
    return [each["number"] for each in list_notifications(ports, user_id=str(user_id), limit=100).data]


def check_counts(rows, user_id):
    """Return the numbers that are left, once the inbox was seen to know how many those are."""
    left = rows(notifications, user_id=user_id)
    (inbox,) = rows(notification_inboxes, user_id=user_id)
    assert (inbox["kept"], inbox["unread"]) == (len(left), sum(each["read_at"] is None for each in left))
    return sorted(each["number"] for each in left)


# --- what goes ---


@pytest.mark.parametrize("read, days", [(True, 90), (False, 365)])
def test_they_go_some_time_after_they_were_read_or_came(post, clock, ann, rows, read, days):
    told(post, ann)
    clock.now += DAY
    told(post, ann)
    if read:
        clock.now = NOON
        mark_all_notifications_read(post, user_id=str(ann))
        told(post, ann)
    clock.now = NOON + days * DAY
    assert purge_notifications(post) == 0
    clock.now += SECOND
    assert purge_notifications(post) == (2 if read else 1)
    assert check_counts(rows, ann) == ([3] if read else [2])


def test_an_unread_one_outlives_a_read_one(post, clock, ann, rows):
    for _ in range(2):
        told(post, ann)
    newest = list_notifications(post, user_id=str(ann)).data[0]
    mark_notification_read(post, user_id=str(ann), notification_id=str(newest["id"]))
    clock.now += 91 * DAY
    assert purge_notifications(post) == 1
    assert check_counts(rows, ann) == [1]


def test_of_one_person_only_so_many_stay(few, ann, bob, rows):
    for _ in range(5):
        told(few, ann)
    for _ in range(3):
        told(few, bob)
    assert purge_notifications(few) == 2
    assert (check_counts(rows, ann), check_counts(rows, bob)) == ([3, 4, 5], [1, 2, 3])
    assert purge_notifications(few) == 0


def test_what_its_owner_deleted_counts_for_nothing(few, ann, rows):
    for _ in range(5):
        told(few, ann)
    for each in list_notifications(few, user_id=str(ann)).data[:2]:
        delete_notification(few, user_id=str(ann), notification_id=str(each["id"]))
    assert purge_notifications(few) == 0
    assert check_counts(rows, ann) == [1, 2, 3]


def test_a_thousand_stay_unless_something_else_is_said(post):
    assert post.notification_rules == NotificationRules(
        read_kept=90 * DAY, kept=365 * DAY, most=1000, social_mails_per_hour=10
    )


def test_many_go_in_batches(few, ann, bob, rows):
    """Each short: whoever gets a notification waits for one of them at most."""
    for _ in range(20):
        told(few, ann)
        told(few, bob)
    assert purge_notifications(few, batch=4) == 34
    assert check_counts(rows, ann) == check_counts(rows, bob) == [18, 19, 20]


def test_a_run_ends_in_time(few, clock, person, rows):
    for each in range(5):
        who = person(f"Person {each}")
        for _ in range(4):
            told(few, who)

    def slowly():
        clock.now += timedelta(seconds=4)
        return clock.now

    slow = replace(few, now=slowly)
    assert [purge_notifications(slow), purge_notifications(slow)] == [3, 2]
    assert len(rows(notifications)) == 15


# --- what stays right ---


def test_numbers_are_never_given_twice_and_readers_go_on(few, ann):
    for _ in range(7):
        told(few, ann)
    first = list_notifications(few, user_id=str(ann), limit=2)
    assert purge_notifications(few) == 4
    assert list_notifications(few, user_id=str(ann)).unread == 3
    # A cursor from before, and one whose notification is gone.
    rest = list_notifications(few, user_id=str(ann), limit=2, cursor=first.next_cursor)
    assert ([each["number"] for each in rest.data], rest.next_cursor) == ([5], None)
    for _ in range(3):
        told(few, ann)
    assert purge_notifications(few) == 3
    gone = list_notifications(few, user_id=str(ann), cursor=first.next_cursor)
    assert (list(gone.data), gone.next_cursor) == ([], None)
    # A stream that was away: it goes on with what is left, and then with what comes.
    news = notifications_after(few, user_id=str(ann), number=2)
    assert ([each["number"] for each in news.rows], news.last, news.unread) == ([8, 9, 10], 10, 3)


def test_an_inbox_that_is_empty_again_goes_on_with_its_numbers(post, clock, ann, rows):
    for _ in range(2):
        told(post, ann)
    clock.now += 366 * DAY
    assert purge_notifications(post) == 2
    assert check_counts(rows, ann) == []
    news = notifications_after(post, user_id=str(ann), number=2)
    assert (list(news.rows), news.last, news.unread) == ([], 2, 0)
    told(post, ann)
    assert numbers(post, ann) == [3]


def test_mails_that_wait_are_not_purged(few, ann, rows):
    for _ in range(5):
        told(few, ann)
    purge_notifications(few)
    assert len(rows(pending_notification_mails)) == 5


def test_notes_of_mails_go_after_a_day(post, clock, ann, bob, change, rows):
    for age in (DAY, DAY + SECOND):
        note = {"notification_id": new_id(), "user_id": ann, "type": "followed", "actor_id": bob}
        change(sa.insert(social_mails).values(**note, sent_at=NOON - age))
    assert purge_notifications(post) == 0
    assert [each["sent_at"] for each in rows(social_mails)] == [NOON - DAY]


# --- beside others ---


@pytest.mark.parametrize("table", [notification_inboxes, profiles])
def test_an_inbox_that_is_in_use_is_left_for_later(few, users_sessions, ann, bob, rows, table):
    for _ in range(5):
        told(few, ann)
        told(few, bob)
    key = next(iter(table.primary_key.columns))
    with users_sessions() as somebody:
        somebody.execute(sa.select(key).where(key == ann).with_for_update())
        assert purge_notifications(few) == 2
        somebody.rollback()
    assert (check_counts(rows, ann), check_counts(rows, bob)) == ([1, 2, 3, 4, 5], [3, 4, 5])
    assert purge_notifications(few) == 2


def test_two_instances_purge_each_once_while_everything_goes_on(few, ann, bob, rows):
    for _ in range(60):
        told(few, ann)
        told(few, bob)
    chance, start, purged = random.Random(5), threading.Barrier(10), []
    ids = [str(each["id"]) for each in rows(notifications)]
    plan = [
        [(chance.choice(("tell", "read", "delete", "all")), chance.choice(ids)) for _ in range(6)] for _ in range(8)
    ]

    def purge():
        start.wait(10)
        purged.extend(purge_notifications(few, batch=7) for _ in range(5))

    def act(deeds, who):
        start.wait(10)
        for what, wanted in deeds:
            try:
                if what == "tell":
                    told(few, who)
                elif what == "all":
                    mark_all_notifications_read(few, user_id=str(who), up_to=chance.randrange(60))
                elif what == "read":
                    mark_notification_read(few, user_id=str(who), notification_id=wanted)
                else:
                    delete_notification(few, user_id=str(who), notification_id=wanted)
            except NotificationNotFound:
                pass

    acts = [lambda deeds=deeds, who=who: act(deeds, who) for deeds, who in zip(plan, (ann, bob) * 4, strict=True)]
    together(purge, purge, *acts)
    purge_notifications(few)
    for who in (ann, bob):
        assert len(check_counts(rows, who)) <= 3
        (inbox,) = rows(notification_inboxes, user_id=who)
        assert inbox["last_number"] >= 60
    assert sum(purged) <= 120 + 8 * 6


def test_a_deletion_of_the_account_and_a_purge_do_not_wait_for_each_other_for_ever(few, person, rows):
    people = [person(f"Person {each}") for each in range(8)]
    for each in people:
        for _ in range(6):
            told(few, each)

    def close(user_id):
        close_profile(few, event_id=str(new_id()), user_id=str(user_id))

    together(*(lambda: purge_notifications(few) for _ in range(4)), *(lambda each=each: close(each) for each in people))
    assert rows(notifications) == rows(notification_inboxes) == []


FILL = (
    "INSERT INTO notifications (user_id, number, id, type, data, event_id, created_at, read_at)"
    " SELECT user_id, n, gen_random_uuid(), 'followed', '{}', gen_random_uuid(), :now,"
    " CASE WHEN n % 2 = 0 THEN :now END"
    " FROM notification_inboxes, generate_series(2, 500) AS n"
)


def test_nobody_reads_all_notifications_to_find_those_that_go(few, users_sessions, database, person):
    """Twenty thousand of forty people; then the statements of a run are planned once more."""
    for each in range(40):
        told(few, person(f"Person {each}"))
    with database("users_sql") as connection:
        connection.execute(sa.text(FILL), {"now": NOON})
        connection.execute(sa.text("UPDATE notification_inboxes SET kept = 500, unread = 251, last_number = 500"))
        connection.commit()
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))
    ran = []

    def note(connection, cursor, statement, parameters, context, executemany):
        if "notification" in statement and not statement.startswith("UPDATE"):
            ran.append((statement, parameters))

    sa.event.listen(users_sessions.engine, "before_cursor_execute", note)
    purge_notifications(replace(few, notification_rules=NotificationRules(most=1000)))
    purge_notifications(replace(few, notification_rules=NotificationRules(most=499)), batch=1)
    sa.event.remove(users_sessions.engine, "before_cursor_execute", note)
    assert any("DELETE FROM notifications" in statement for statement, _ in ran)
    plans = []
    with users_sessions() as session:
        for statement, parameters in ran:
            rows = session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars()
            plans.append("\n".join(rows))
    assert [each for each in plans if "Seq Scan on notifications" in each] == []
    # Not only in their order: from the old end, and no further than to where the others begin.
    assert any("Index Cond: (created_at <" in each and "Index Cond: (read_at <" in each for each in plans)

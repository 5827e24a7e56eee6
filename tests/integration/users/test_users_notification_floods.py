"""Who does and undoes something again and again fills neither an inbox nor a mailbox."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from lib.ids import new_id
from tests.integration.users.conftest import NOON, told
from tests.integration.users.connecting import do
from tests.integration.users.test_users_races import together
from users_svc.application.close_profile import close_profile
from users_svc.application.list_notifications import list_notifications
from users_svc.application.mark_all_notifications_read import mark_all_notifications_read
from users_svc.application.send_notification_mails import send_notification_mails
from users_svc.domain.notification_rules import NotificationRules
from users_svc.infrastructure.tables import follow_requests, follows, outbox, pending_notification_mails, social_mails

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SOCIAL = ["followed", "follow_requested", "follow_accepted"]
BY_MAIL = {"types": {each: {"email": True} for each in SOCIAL}}
BY_MAIL_ALONE = {"types": {each: {"in_app": False, "email": True} for each in SOCIAL}}


def shown(ports, user_id):
    page = list_notifications(ports, user_id=str(user_id), limit=100)
    return [(each["number"], each["type"]) for each in page.data]


def outcomes(post, kind="followed"):
    return [(outcome, reason) for each, outcome, reason in post.mail_tally.counted if each == kind]


def some(people, ports, ann, number):
    """Return people who follow Ann, and tell her."""
    made = [people(f"Person {each}") for each in range(number)]
    for each in made:
        do(ports, "follow", each, ann)
        told(ports, ann, "followed", by=each)
    return made


# --- the inbox ---


@pytest.mark.parametrize("type", SOCIAL)
def test_again_while_it_is_unread_changes_nothing(post, clock, ann, bob, choose, rows, type):
    choose(ann, **BY_MAIL)
    told(post, ann, type, by=bob)
    before = rows(pending_notification_mails)
    for _ in range(20):
        clock.now += MINUTE
        told(post, ann, type, by=bob)
    (notification,) = list_notifications(post, user_id=str(ann)).data
    assert (notification["number"], notification["created_at"]) == (1, NOON)
    assert len(rows(outbox, type="notification.created")) == 1
    assert rows(pending_notification_mails) == before
    assert len(before) == 1


def test_again_after_it_was_read_is_told_again(post, ann, bob):
    told(post, ann, "followed", by=bob)
    mark_all_notifications_read(post, user_id=str(ann))
    for _ in range(3):
        told(post, ann, "followed", by=bob)
    assert shown(post, ann) == [(2, "followed"), (1, "followed")]


def test_others_and_other_things_are_told(post, ann, bob, person):
    carl = person("Carl")
    for _ in range(2):
        for type in SOCIAL:
            for each in (bob, carl):
                told(post, ann, type, by=each)
        told(post, ann)
        told(post, bob, "followed", by=carl)
    assert len(shown(post, ann)) == len(SOCIAL) * 2 + 2
    assert len(shown(post, bob)) == 1


def test_fifty_at_once_are_one(ports, ann, bob, choose, rows):
    choose(ann, **BY_MAIL_ALONE)
    choose(bob, **BY_MAIL)
    together(*(lambda who=who, by=by: told(ports, who, "followed", by=by) for who, by in ((ann, bob), (bob, ann)) * 25))
    assert shown(ports, bob) == [(1, "followed")]
    assert len(rows(pending_notification_mails, user_id=ann)) == len(rows(pending_notification_mails, user_id=bob)) == 1


def test_who_wants_mails_alone_has_one_waiting(post, ann, bob, person, choose, rows):
    choose(ann, **BY_MAIL_ALONE)
    for _ in range(5):
        for each in (bob, person("Carl")):
            told(post, ann, "followed", by=each)
    assert shown(post, ann) == []
    assert len(rows(pending_notification_mails, actor_id=bob)) == 1
    assert len(rows(pending_notification_mails)) == 1 + 5


# --- the mailbox ---


@pytest.mark.parametrize(
    "type, table, by_actor",
    [("followed", follows, True), ("follow_requested", follow_requests, True), ("follow_accepted", follows, False)],
)
@pytest.mark.parametrize("still", [True, False])
def test_what_was_undone_meanwhile_is_not_mailed(
    post, server, clock, ann, bob, choose, edge, pending, type, table, by_actor, still
):
    choose(ann, **BY_MAIL)
    if still:
        edge(table, *((bob, ann) if by_actor else (ann, bob)))
    else:
        # The other way round is another thing.
        edge(table, *((ann, bob) if by_actor else (bob, ann)))
    told(post, ann, type, by=bob)
    clock.now += MINUTE
    assert send_notification_mails(post) == still
    assert len(server.received) == still
    assert outcomes(post, type) == ([("sent", "")] if still else [("dropped", "undone")])
    assert (shown(post, ann), pending()) == ([(1, type)], [])


def test_a_loop_of_follows_is_one_mail_a_day(post, server, clock, ann, bob, choose):
    """Even to somebody who reads each notification, or wants none."""
    choose(ann, **BY_MAIL_ALONE)
    for _ in range(30):
        do(post, "follow", bob, ann)
        told(post, ann, "followed", by=bob)
        clock.now += MINUTE
        send_notification_mails(post)
        do(post, "unfollow", bob, ann)
    assert len(server.received) == 1
    assert outcomes(post) == [("sent", "")] + 29 * [("dropped", "repeated")]
    clock.now += DAY
    do(post, "follow", bob, ann)
    told(post, ann, "followed", by=bob)
    clock.now += MINUTE
    assert send_notification_mails(post) == 1


def test_an_hour_has_ten_mails_about_others_and_the_inbox_has_all(post, server, clock, ann, bob, person, choose):
    for each in (ann, bob):
        choose(each, **BY_MAIL)
    some(person, post, ann, 12)
    some(person, post, bob, 1)
    clock.now += MINUTE
    assert send_notification_mails(post) == 11
    assert outcomes(post).count(("dropped", "too_many")) == 2
    assert len(shown(post, ann)) == 12
    # Some minutes later, and after the hour.
    clock.now += HOUR - MINUTE
    some(person, post, ann, 1)
    clock.now += MINUTE - timedelta(seconds=1)
    assert send_notification_mails(post) == 0
    clock.now += timedelta(seconds=1)
    assert send_notification_mails(post) == 1


def test_mails_about_security_and_payments_are_not_counted_among_them(post, server, clock, ann, person, choose):
    choose(ann, **BY_MAIL)
    few = replace(post, notification_rules=NotificationRules(social_mails_per_hour=1))
    some(person, few, ann, 2)
    for _ in range(15):
        told(few, ann, data={"amount": 1, "currency": "EUR"})
        told(few, ann, "login_locked", data={"method": "pwd"})
    clock.now += MINUTE
    assert send_notification_mails(few) == 31
    kinds = [each.message["X-Mail-Kind"] for each in server.received]
    assert {each: kinds.count(each) for each in kinds} == {"followed": 1, "payment_succeeded": 15, "login_locked": 15}
    assert outcomes(post) == [("sent", ""), ("dropped", "too_many")]


def test_several_instances_send_no_more_than_that(post, server, clock, ann, person, choose):
    choose(ann, **BY_MAIL)
    some(person, post, ann, 24)
    clock.now += MINUTE
    start, sent = threading.Barrier(6), []

    def run():
        start.wait(10)
        sent.append(send_notification_mails(post))

    together(*(run for _ in range(6)))
    assert (sum(sent), len(server.received)) == (10, 10)
    assert sorted(outcomes(post)) == 14 * [("dropped", "too_many")] + 10 * [("sent", "")]


def test_a_reader_who_goes_at_the_last_moment_gets_no_mail(post, server, clock, ann, person, choose, pending):
    choose(ann, **BY_MAIL)
    some(person, post, ann, 1)
    clock.now += MINUTE
    made = []

    def vanishing():
        made.append(1)
        if len(made) == 3:  # To take the mail, to look whether it still has a sense, to count it.
            close_profile(post, event_id=str(new_id()), user_id=str(ann))
        return post.unit_of_work()

    assert send_notification_mails(replace(post, unit_of_work=vanishing)) == 0
    assert (server.received, pending(), outcomes(post)) == ([], [], [("dropped", "no_reader")])


def test_a_mail_that_takes_several_tries_has_one_place(post, server, clock, ann, person, choose, rows):
    choose(ann, **BY_MAIL)
    one = replace(post, notification_rules=NotificationRules(social_mails_per_hour=1))
    some(person, one, ann, 1)
    clock.now += MINUTE
    server.answers["RCPT"] = "451 4.3.0 later"
    for _ in range(3):
        assert send_notification_mails(one) == 0
        clock.now += HOUR
    server.answers.clear()
    assert send_notification_mails(one) == 1
    (note,) = rows(social_mails)
    # Its hour begins when it leaves.
    assert note["sent_at"] == clock.now

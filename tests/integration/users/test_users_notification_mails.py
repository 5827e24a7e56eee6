"""Mails about notifications: when they leave, what they say, and that a crash sends them twice rather than never.

The SMTP server is aiosmtpd, the database PostgreSQL.
"""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from lib.errors import MailUnavailable
from lib.ids import new_id
from tests.integration.users.conftest import DEFAULTS
from tests.support import smtp
from users_svc.application.close_profile import close_profile
from users_svc.application.list_notifications import list_notifications
from users_svc.application.mark_notification_read import mark_notification_read
from users_svc.application.notify import notify
from users_svc.application.send_notification_mails import send_notification_mails
from users_svc.bootstrap import build_mailer
from users_svc.domain.notification_mail import LEASE
from users_svc.infrastructure.tables import blocks, mutes, pending_notification_mails, preference_records, profiles

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DUE = NOON + timedelta(minutes=1)
PAID = {"payment_id": "019c13f8-2ee0-7b1c-8d2e-3f4a5b6c7d8e", "amount": 1050, "currency": "EUR"}
WANTED = {"types": {"followed": {"email": True}}}


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    with smtp.SmtpServer() as server:
        yield server


@pytest.fixture
def post(ports, server, clock):
    """The ports, with a clock of the test's and mails that go to its server."""
    mailer = build_mailer({**DEFAULTS, "SMTP_URL": server.url(), "MAIL_FROM": "Leveret <mail@example.org>"})
    return replace(ports, mailer=mailer, now=clock)


@pytest.fixture
def ann(person):
    return person("Ann", email="ann@example.com")


@pytest.fixture
def tell(post):
    def tell(user_id, type="payment_succeeded", *, by=None, data=PAID):
        actor = None if by is None else str(by)
        notify(post, event_id=str(new_id()), user_id=str(user_id), type=type, data=data, actor_id=actor)

    return tell


@pytest.fixture
def pending(users_sessions):
    return lambda: users_sessions.all(sa.select(pending_notification_mails))


@pytest.fixture
def change(users_sessions):
    def change(statement):
        with users_sessions() as session:
            session.execute(statement)
            session.commit()

    return change


@pytest.fixture
def choose(change):
    def choose(user_id, data):
        change(sa.delete(preference_records).where(preference_records.c.user_id == user_id))
        record = {"user_id": user_id, "kind": "notification_preferences", "schema_version": 1, "data": data}
        change(sa.insert(preference_records).values(**record, version=1, updated_at=NOON))

    return choose


def plain(mail):
    return mail.message.get_body(("plain",)).get_content().replace("\r\n", "\n")


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


def test_what_is_read_in_time_is_not_mailed(post, server, clock, ann, tell):
    tell(ann)
    (notification,) = list_notifications(post, user_id=str(ann)).data
    mark_notification_read(post, user_id=str(ann), notification_id=str(notification["id"]))
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert server.received == []


def test_quiet_hours_that_were_set_later_are_kept(post, server, clock, ann, tell, choose, pending):
    tell(ann)
    choose(ann, {"quiet_hours": {"enabled": True, "from": "12:00", "to": "13:00"}})
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert [each["due_at"] for each in pending()] == [NOON + timedelta(hours=1)]
    clock.now = NOON + timedelta(hours=1)
    assert send_notification_mails(post) == 1
    assert len(server.received) == 1


def test_a_type_that_was_switched_off_meanwhile_is_not_mailed(post, server, clock, ann, tell, choose, pending):
    tell(ann)
    choose(ann, {"types": {"payment_succeeded": {"email": False}}})
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert pending() == server.received == []


@pytest.mark.parametrize(
    "way", ["blocks", "blocked", "mutes", "disabled", "deleted", "reader disabled", "reader deleted"]
)
def test_a_mail_that_has_no_sense_any_more_is_not_sent(
    post, server, clock, ann, person, tell, choose, change, pending, way
):
    bob = person("Bob")
    choose(ann, WANTED)
    tell(ann, "followed", by=bob, data={})
    edge = {"id": new_id(), "created_at": NOON}
    match way:
        case "blocks":
            change(sa.insert(blocks).values(blocker_id=ann, blocked_id=bob, **edge))
        case "blocked":
            change(sa.insert(blocks).values(blocker_id=bob, blocked_id=ann, **edge))
        case "mutes":
            change(sa.insert(mutes).values(muter_id=ann, muted_id=bob, **edge))
        case "disabled" | "reader disabled":
            who = bob if way == "disabled" else ann
            change(sa.update(profiles).where(profiles.c.id == who).values(disabled=True))
        case _:
            who = bob if way == "deleted" else ann
            close_profile(post, event_id=str(new_id()), user_id=str(who))
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert pending() == server.received == []


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
    choose(ann, WANTED)
    bob = person("Bob\u202e {site}", handle="bob")
    eve = person("Eve", visibility={"display_name": "followers"})
    for each in (bob, eve):
        tell(ann, "followed", by=each, data={})
        clock.now += timedelta(seconds=1)
    clock.now = DUE + timedelta(seconds=1)
    assert send_notification_mails(post) == 2
    assert [each.message["Subject"] for each in server.received] == [
        "Leveret: Bob {site} follows you",
        "Leveret: Somebody follows you",
    ]
    assert "Eve" not in plain(server.received[1])


# --- at least once ---


class Dies(BaseException):
    """As kill -9, as far as the process's work goes: nothing after it is done."""


class DyingMailer:
    def __init__(self, mailer, *, after):
        self._mailer, self._after = mailer, after

    def send(self, mail):
        if self._after:
            self._mailer.send(mail)
        raise Dies


@pytest.mark.parametrize("after", [True, False])
def test_a_process_that_dies_at_a_mail_leaves_it_to_be_sent_again(post, server, clock, ann, tell, pending, after):
    tell(ann)
    clock.now = DUE
    with pytest.raises(Dies):
        send_notification_mails(replace(post, mailer=DyingMailer(post.mailer, after=after)))
    assert send_notification_mails(post) == 0
    clock.now = DUE + LEASE
    assert send_notification_mails(post) == 1
    assert len(server.received) == 1 + after
    assert len({each.message["Message-ID"] for each in server.received}) == 1
    assert pending() == []


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_mail_that_cannot_go_now_goes_later_with_growing_pauses(post, server, clock, ann, tell, pending, command):
    tell(ann)
    server.answers[command] = "451 4.3.0 later"
    clock.now = DUE
    for pause in (30, 60, 120):
        assert send_notification_mails(post) == 0
        (waits,) = pending()
        assert waits["due_at"] == clock.now + timedelta(seconds=pause)
        clock.now = waits["due_at"]
    server.answers.clear()
    assert send_notification_mails(post) == 1
    assert (len(server.received), pending()) == (1, [])


def test_a_mail_that_nobody_ever_takes_is_given_up(post, server, clock, ann, tell, change, pending):
    tell(ann)
    change(sa.update(pending_notification_mails).values(attempts=29))
    server.answers["RCPT"] = "451 4.3.0 later"
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert pending() == []


def test_a_mailbox_that_does_not_exist_holds_up_nobody(post, server, clock, ann, person, tell, pending):
    tell(ann)
    clock.now += timedelta(seconds=1)
    tell(person("Bob", email="bob@example.com"))
    server.answers["RCPT"] = "550 5.1.1 no such user"
    clock.now = DUE + timedelta(seconds=1)
    taken = post.mailer.send

    class FirstIsRefused:
        def send(self, mail):
            try:
                taken(mail)
            finally:
                server.answers.clear()

    assert send_notification_mails(replace(post, mailer=FirstIsRefused())) == 1
    assert [each.recipients for each in server.received] == [["bob@example.com"]]
    assert pending() == []


def test_one_away_server_keeps_the_others_mails(post, clock, ann, tell, pending):
    for _ in range(3):
        tell(ann)
    clock.now = DUE
    away = replace(post, mailer=build_mailer({**DEFAULTS, "SMTP_URL": smtp.nobody()}))
    assert send_notification_mails(away) == 0
    assert sorted(each["attempts"] for each in pending()) == [0, 0, 1]


def test_a_job_stops_in_time(post, clock, ann, tell, pending):
    for _ in range(3):
        tell(ann)
    clock.now = DUE
    send = post.mailer.send

    class Slow:
        def send(self, mail):
            send(mail)
            clock.now += timedelta(seconds=20)

    assert send_notification_mails(replace(post, mailer=Slow())) == 2
    assert len(pending()) == 1


def test_several_instances_send_each_mail_once(post, server, clock, ann, tell, pending):
    for _ in range(24):
        tell(ann)
    clock.now = DUE
    start, sent = threading.Barrier(6), []

    def run():
        start.wait(10)
        sent.append(send_notification_mails(post))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert len(server.received) == len({each.message["Message-ID"] for each in server.received}) == 24
    assert (sum(sent), pending()) == (24, [])


def test_mails_are_sent_outside_of_transactions(post, clock, ann, tell, users_sessions):
    tell(ann)
    clock.now = DUE
    open_transactions = []

    class Looks:
        def send(self, mail):
            query = sa.text(
                "select count(*) n from pg_stat_activity where application_name = 'tests'"
                " and state like 'idle in transaction%' and datname = current_database()"
            )
            open_transactions.append(users_sessions.first(query)["n"])
            raise MailUnavailable

    send_notification_mails(replace(post, mailer=Looks()))
    assert open_transactions == [0]


def test_an_address_that_nobody_has_proved_gets_no_mail(post, server, clock, person, tell, pending):
    """Whoever typed it may have chosen name and words to be mailed to somebody else."""
    mallory = person("Your account is locked", email="victim@example.com", email_verified=False)
    tell(mallory)
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert (server.received, pending()) == ([], [])
    assert list_notifications(post, user_id=str(mallory)).unread == 1


def test_a_mail_that_cannot_be_written_keeps_no_other_one_back(post, server, clock, person, ann, tell, pending, caplog):
    class Clumsy:
        def send(self, letter):
            if letter.to == "bob@example.com":
                raise ValueError("bob@example.com cannot be written")
            post.mailer.send(letter)

    bob = person("Bob", email="bob@example.com")
    tell(bob)
    tell(ann)
    clock.now = DUE
    assert send_notification_mails(replace(post, mailer=Clumsy())) == 1
    assert [each.recipients for each in server.received] == [["ann@example.com"]]
    (left,) = pending()
    assert left["user_id"] == bob
    assert left["due_at"] > clock.now
    assert "cannot be sent" in caplog.text
    assert "bob@" not in caplog.text

"""Mails about notifications on their way: a crash sends one twice rather than never, and no one holds up the others."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from lib.errors import MailUnavailable
from tests.integration.users.conftest import DEFAULTS, NOON, told
from tests.support import smtp
from users_svc.application.count_waiting_mails import count_waiting_mails
from users_svc.application.list_notifications import list_notifications
from users_svc.application.send_notification_mails import send_notification_mails
from users_svc.bootstrap import build_mailer
from users_svc.domain.notification_mail import LEASE
from users_svc.infrastructure.tables import pending_notification_mails

DUE = NOON + timedelta(minutes=1)


@pytest.fixture
def tell(post):
    return lambda user_id: told(post, user_id, data={"amount": 1050, "currency": "EUR"})


def counted(post):
    """Return what became of the mails: the reason, or that they were sent."""
    assert {kind for kind, _, _ in post.mail_tally.counted} == {"payment_succeeded"}
    return [reason or outcome for _, outcome, reason in post.mail_tally.counted]


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
    assert counted(post) == [*3 * ["unavailable"], "sent"]


def test_a_mail_that_nobody_ever_takes_is_given_up(post, server, clock, ann, tell, change, pending):
    tell(ann)
    change(sa.update(pending_notification_mails).values(attempts=29))
    server.answers["RCPT"] = "451 4.3.0 later"
    clock.now = DUE
    assert send_notification_mails(post) == 0
    assert pending() == []
    assert counted(post) == ["given_up"]


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
    assert counted(post) == ["refused", "sent"]


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
    assert counted(post) == ["unproved_address"]


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
    assert counted(post) == ["error", "sent"]
    count_waiting_mails(post)
    assert post.mail_tally.waits == 1

"""SMTP as servers really speak it: refusals, alphabets, silence. The server is aiosmtpd."""

from __future__ import annotations

import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from auth_svc.domain.mail import Mail
from lib.errors import MailRefused, MailUnavailable
from lib.mail import PLACES
from tests.integration.auth.conftest import DEFAULTS
from tests.support import smtp
from tests.support.smtp import GONE, mailer_to
from tests.support.waiting import eventually

MAIL = Mail(id="1", kind="password_reset", to="Ann.Smith@example.com", token="a-token")


def is_unavailable(mailer):
    """Assert that the mail cannot go now, and return why."""
    with pytest.raises(MailUnavailable) as failure:
        mailer.send(MAIL)
    return str(failure.value)


# --- envelope ---


def test_the_envelope_names_sender_and_recipient_only():
    with smtp.SmtpServer() as server:
        mailer_to(server.url()).send(MAIL)

    (mail,) = server.received
    assert mail.sender == "no-reply@example.org"
    assert mail.recipients == ["Ann.Smith@example.com"]
    assert mail.greeting == "example.org"
    assert not mail.tls
    assert mail.user is None
    assert b"\r\nX-Mail-Kind: password_reset\r\n" in mail.content


def test_each_mail_has_a_connection_of_its_own():
    with smtp.SmtpServer() as server:
        mailer = mailer_to(server.url())
        mailer.send(MAIL)
        mailer.send(MAIL)

        assert server.connections == 2


# --- refusals ---

UNTIL_LATER = [
    ("MAIL", "451 4.3.0 later"),
    ("MAIL", "550 5.7.1 you may not send as that"),
    ("MAIL", "553 5.1.8 unknown sender"),
    ("RCPT", "450 4.2.1 greylisted"),
    ("RCPT", "452 4.2.2 mailbox full"),
    ("RCPT", "421 4.3.2 closing"),
    ("RCPT", "530 5.7.0 sign in first"),
    ("RCPT", "554 5.7.1 relay access denied"),
    ("RCPT", "503 5.5.1 sign in first"),
    ("DATA", "421 4.3.2 closing"),
    ("DATA", "452 4.3.1 no space"),
    ("DATA", "451 4.7.1 later"),
]
FOR_GOOD = [
    ("RCPT", "550 5.1.1 no such user"),
    ("RCPT", "550 no such user"),
    ("RCPT", "552 5.2.2 mailbox full"),
    ("RCPT", "556 5.1.10 takes no mail"),
    ("DATA", "550 5.6.0 content"),
    ("DATA", "554 5.7.1 looks like spam"),
    ("DATA", "552 5.3.4 too big"),
]


@pytest.mark.parametrize("command, answer", UNTIL_LATER)
def test_what_may_change_is_tried_again(command, answer):
    with smtp.SmtpServer(answers={command: answer}) as server:
        mailer = mailer_to(server.url())
        reason = is_unavailable(mailer)
        assert answer[:3] in reason
        server.answers.clear()
        mailer.send(MAIL)

    assert len(server.received) == 1


@pytest.mark.parametrize("command, answer", FOR_GOOD)
def test_what_recipient_or_content_are_refused_for_is_final(command, answer):
    with smtp.SmtpServer(answers={command: answer}) as server, pytest.raises(MailRefused) as refusal:
        mailer_to(server.url()).send(MAIL)

    assert answer[:3] in str(refusal.value)


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("code", ["450", "550"])
def test_of_the_address_only_the_domain_is_told(command, code):
    answer = f"{code} 5.1.1 <Ann.Smith@example.com> on #token=a-token is none of ours"
    with (
        smtp.SmtpServer(answers={command: answer}) as server,
        pytest.raises((MailUnavailable, MailRefused)) as failure,
    ):
        mailer_to(server.url()).send(MAIL)

    told = "".join(traceback.format_exception(failure.value))
    assert "mail to example.com: " in told
    assert "Smith" not in told
    assert "a-token" not in told
    assert failure.value.__context__ is None


# --- addresses of other alphabets ---


def test_an_international_address_needs_a_server_that_takes_it():
    mail = replace(MAIL, to="käthe@bücher.example")
    with smtp.SmtpServer() as server, smtp.SmtpServer(utf8=False) as old:
        mailer_to(server.url()).send(mail)
        with pytest.raises(MailRefused) as refusal:
            mailer_to(old.url()).send(mail)

    (received,) = server.received
    assert "SMTPUTF8" in received.options
    assert received.recipients == ["käthe@xn--bcher-kva.example"]
    assert "\r\nTo: käthe@xn--bcher-kva.example\r\n".encode() in received.content
    assert old.received == []
    assert "käthe" not in str(refusal.value)


@pytest.mark.parametrize(
    "typed, travels",
    [
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@Straße.example", "ann@xn--strae-oqa.example"),  # and not strasse.example, which is another's
    ],
)
def test_a_domain_of_other_letters_has_a_form_that_every_server_takes(typed, travels):
    with smtp.SmtpServer(utf8=False) as server:
        mailer_to(server.url()).send(replace(MAIL, to=typed))

    (received,) = server.received
    assert received.recipients == [travels]
    assert received.message["To"] == travels


def test_a_domain_that_cannot_be_is_left_to_the_server():
    with smtp.SmtpServer() as server:
        mailer_to(server.url()).send(replace(MAIL, to="ann@xn--ä.example"))

    assert [each.recipients for each in server.received] == [["ann@xn--ä.example"]]


# --- silence and breaks ---


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_that_says_nothing_is_given_up(scheme):
    with smtp.silent_server() as url:
        begun = time.monotonic()
        is_unavailable(mailer_to(url.replace("smtp:", f"{scheme}:"), timeout=0.3))

    assert time.monotonic() - begun < 3


def test_a_server_that_falls_silent_later_is_given_up():
    with smtp.SmtpServer(answers={"DATA": smtp.SILENCE}) as server:
        begun = time.monotonic()
        is_unavailable(mailer_to(server.url(), timeout=0.3))

    assert time.monotonic() - begun < 3


def test_a_server_that_is_gone_may_come_back():
    assert "refused" in is_unavailable(mailer_to(smtp.nobody()))


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_connection_that_breaks_loses_no_mail(command):
    with smtp.SmtpServer(answers={command: GONE}) as server:
        is_unavailable(mailer_to(server.url()))


@pytest.mark.parametrize("answer", [GONE, "421 4.3.2 closing", "500 what?"])
def test_a_mail_that_was_taken_is_not_sent_again_for_a_bad_farewell(answer):
    with smtp.SmtpServer(answers={"QUIT": answer}) as server:
        mailer_to(server.url()).send(MAIL)

    assert len(server.received) == 1


@pytest.mark.parametrize(
    "greeting", [b"554 5.3.2 not today\r\n", b"421 busy\r\n", b"HTTP/1.1 400\r\n", b"\xff" * 9000, b"220 hi\r\n", b""]
)
def test_whoever_is_no_mail_server_gets_no_mail(greeting):
    with smtp.scripted_server(greeting, hangs_up=True) as url:
        is_unavailable(mailer_to(url))


@pytest.mark.parametrize(
    "script",
    [
        b"220 hi\r\n250-me\r\n250 AUTH PLAIN\r\n334 a\r\n",  # no base64
        b"220 hi\r\n250-me\r\n250 AUTH CRAM-MD5\r\n334 a\r\n",
        b"220 hi\r\n250-me\r\n250 AUTH UNHEARD-OF\r\n",
        b"220 hi\r\n250-me\r\n250 STARTTLS\r\n220 go\r\nno TLS at all\r\n",
        b"220 hi\r\n250-me\r\n250 STARTTLS\r\n550 5.7.1 not today\r\n",
        b"220 hi\r\n500 what?\r\n500 what?\r\n",
        b"220 hi\r\n250-me\r\n250 AUTH PLAIN\r\n235 in\r\n250 OK\r\n250 OK\r\n250 no 354\r\n",
    ],
)
def test_a_server_that_makes_no_sense_loses_no_mail(script):
    with smtp.scripted_server(script, hangs_up=False) as url:
        is_unavailable(mailer_to(url.replace("//", "//user:password@"), timeout=0.5))


# --- places ---


def test_who_finds_no_place_is_told_so_at_once():
    with ThreadPoolExecutor(PLACES) as pool:
        with smtp.SmtpServer(answers={"DATA": smtp.SILENCE}) as server:
            mailer = mailer_to(server.url(), timeout=30)
            waiting = [pool.submit(is_unavailable, mailer) for _ in range(PLACES)]
            eventually(lambda: server.connections == PLACES)
            begun = time.monotonic()
            assert is_unavailable(mailer) == "enough mails are on their way already"
            assert time.monotonic() - begun < 1
            assert server.connections == PLACES
            assert not any(each.done() for each in waiting)
        # The server is gone, and with it what waited for it.
        assert not [each for each in waiting if "enough" in each.result(10)]
    assert "refused" in is_unavailable(mailer)


def test_a_place_is_given_back_however_the_mail_fares():
    with smtp.SmtpServer() as server:
        mailer = mailer_to(server.url())
        for _ in range(PLACES + 1):
            server.answers["RCPT"] = "550 5.1.1 no such user"
            with pytest.raises(MailRefused):
                mailer.send(MAIL)
            server.answers["RCPT"] = "450 4.2.1 greylisted"
            assert "450" in is_unavailable(mailer)
            server.answers.clear()
            mailer.send(MAIL)
            with pytest.raises(MailRefused):
                mailer.send(replace(MAIL, to="no address"))
            with pytest.raises(ValueError, match="token"):
                mailer.send(replace(MAIL, token=None))

    assert len(server.received) == PLACES + 1


def test_mails_take_a_small_part_of_the_workers():
    assert DEFAULTS["WORKERS"]["auth_svc"] >= PLACES * 4

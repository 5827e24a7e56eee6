"""What mails about notifications say, whatever names are made of, and for how long they are tried."""

from datetime import UTC, datetime, timedelta

import pytest

from lib.errors import MailRefused
from lib.ids import new_id
from lib.mail import Sender
from tests.support import reference_mails
from users_svc.domain.notification_mail import (
    MOST_ATTEMPTS,
    NotificationLetter,
    NotificationMail,
    SentMails,
    is_old,
)
from users_svc.domain.notification_types import TYPES
from users_svc.infrastructure.mail import rendering
from users_svc.infrastructure.mail.rendering import NotificationRenderer
from users_svc.infrastructure.mail.texts import TEXTS

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
PAID = {"payment_id": "p-1", "amount": 1050, "currency": "EUR"}


def letter(kind="followed", **changes):
    fields = {
        "id": str(new_id()),
        "to": "ann@example.com",
        "name": "Ann",
        "data": PAID if kind.startswith("payment") else {},
        "actor": "Bob",
        "happened_at": NOON,
        "unsubscribe_token": "lut_" + "A" * 120,
    }
    return NotificationLetter(kind=kind, **{**fields, **changes})


def render(mail, public_url="https://api.example.org/"):
    return NotificationRenderer(Sender("Leveret", "mail@example.org"), public_url, lambda: NOON).render(mail)


def forms(message):
    return [message.get_body((each,)).get_content() for each in ("plain", "html")]


OPTIONAL = [each.name for each in TYPES.values() if not each.security]
SECURITY = [each.name for each in TYPES.values() if each.security and not each.mailed_by_auth]


def test_every_type_that_is_mailed_from_here_has_its_text():
    assert set(TEXTS) == {*OPTIONAL, *SECURITY}
    assert {each for each, text in TEXTS.items() if text.kind} == set(OPTIONAL)


@pytest.mark.parametrize("kind", SECURITY)
def test_a_mail_about_security_helps_and_cannot_be_ended(kind):
    message = render(letter(kind, data={"reason": "admin", "roles": ["finance", "user"]}, unsubscribe_token=None))
    assert message["List-Unsubscribe"] is message["List-Unsubscribe-Post"] is None
    for form in forms(message):
        assert "https://api.example.org/pages/forgot-password" in form
        assert "unsubscribe" not in form.lower()
        assert "No more mails" not in form
        assert "an administrator has done it" in form
        assert "finance, user" in form
        assert "2026-01-31 12:00 UTC" in form
        assert "{" not in form


@pytest.mark.parametrize("data, line", [({"roles": []}, "Roles: none"), ({"reason": "x_y\n"}, "Reason: x y")])
def test_facts_of_security_are_one_plain_line_each(data, line):
    plain, _ = forms(render(letter("roles_changed", data=data, unsubscribe_token=None)))
    assert f"\n{line}\n" in plain


@pytest.mark.parametrize("kind", OPTIONAL)
def test_every_mail_can_be_ended_by_one_click(kind):
    """RFC 8058: the header in one piece, as it is, so that programs find the address."""
    message = render(letter(kind))
    link = "https://api.example.org/api/v1/users/unsubscribe?token=lut_" + "A" * 120
    raw = message.as_bytes()
    assert f"\r\nList-Unsubscribe: <{link}>\r\n".encode() in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    for form in forms(message):
        assert link in form
        assert "{" not in form
    assert f"X-Mail-Kind: {kind}".encode() in raw
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("kind", OPTIONAL)
def test_a_token_that_is_no_token_stays_in_the_link(kind):
    message = render(letter(kind, unsubscribe_token="a&b=c>\r\nBcc: eve@example.com"))
    assert message["Bcc"] is None
    assert message["List-Unsubscribe"].endswith("?token=a%26b%3Dc%3E%0D%0ABcc%3A%20eve%40example.com>")


@pytest.mark.parametrize(
    "name", ["<b>Bob</b>", "Bob\r\nBcc: eve@example.com", "\u202eboB", "{site}{0}", "🐇" * 300, "\ud800", "Zoë", "%s%n"]
)
def test_names_of_strangers_are_one_plain_line(name):
    message = render(letter(actor=name, name=name))
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]
    plain, html = forms(message)
    assert "<b>" not in html
    assert "\u202e" not in plain + html
    assert plain.startswith("Hello")
    assert max(map(len, message.as_bytes().split(b"\r\n"))) <= 998


@pytest.mark.parametrize("actor", [None, "", "\u202e", " \n"])
def test_who_has_no_name_is_somebody(actor):
    assert render(letter(actor=actor))["Subject"] == "Leveret: Somebody follows you"


def test_a_reader_without_a_name_is_greeted_all_the_same():
    assert forms(render(letter(name="\u202e")))[0].startswith("Hello,\n")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "Zoë 🐇", "actor": "Дмитрий " * 30, "to": "дмитрий@почта.example"},
        {"name": "a" * 1000, "actor": "b" * 1000, "unsubscribe_token": None},
        {"actor": "=?utf-8?q?a?=\r\n.", "name": "<b>&\r\nFrom me", "to": "a=?b@example.com"},
    ],
    ids=["plain", "other letters", "long", "nasty"],
)
@pytest.mark.parametrize("kind", [*OPTIONAL, *SECURITY])
def test_every_kind_reads_as_the_standard_library_writes_it(monkeypatch, kind, changes):
    mail = letter(kind, **changes)
    ours = render(mail)
    monkeypatch.setattr(rendering, "write", reference_mails.write)
    reference = render(mail)
    for way in ({"utf8": True}, {"utf8": True, "linesep": "\n"}, {})[: 3 if mail.to.isascii() else 2]:
        assert reference_mails.read(ours, **way) == reference_mails.read(reference, **way)


@pytest.mark.parametrize(
    "amount, currency, words",
    [
        (1050, "EUR", "10.50 EUR"),
        (5, "EUR", "0.05 EUR"),
        (1050, "JPY", "1050 JPY"),
        (1050, "KWD", "1.050 KWD"),
        (1050, "XXX", "1050 minor units of XXX"),
        (1050, "Q\n", "1050 minor units of Q"),
    ],
)
def test_amounts_are_written_in_the_currencys_own_way(amount, currency, words):
    message = render(letter("payment_succeeded", data={**PAID, "amount": amount, "currency": currency}))
    assert message["Subject"] == f"Leveret: you have paid {words}"


def test_a_failure_tells_the_reason():
    data = {**PAID, "decline_code": "insufficient_funds"}
    assert "\nReason: insufficient funds\n" in forms(render(letter("payment_failed", data=data)))[0]


def test_an_address_that_reads_as_another_is_refused():
    with pytest.raises(MailRefused):
        render(letter(to="=?utf-8?q?ann?=@example.com"))


def test_two_tries_have_one_id():
    mail = letter()
    assert render(mail)["Message-ID"] == render(mail)["Message-ID"] == f"<{mail.id}@example.org>"
    assert "lut_" not in repr(mail)


def test_pauses_grow_and_end():
    def waiting(attempts):
        return NotificationMail(
            id=new_id(),
            user_id=new_id(),
            type="followed",
            data={},
            actor_id=None,
            created_at=NOON,
            due_at=NOON,
            attempts=attempts,
        )

    pauses = [waiting(number).next_try(NOON) - NOON for number in range(MOST_ATTEMPTS)]
    assert pauses[:5] == [timedelta(seconds=each) for each in (30, 30, 60, 120, 240)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(hours=1)
    assert timedelta(hours=20) < sum(pauses, timedelta()) < timedelta(hours=30)
    assert waiting(MOST_ATTEMPTS).next_try(NOON) is None


@pytest.mark.parametrize(
    "age, old", [(timedelta(0), False), (timedelta(days=2), False), (timedelta(days=2, microseconds=1), True)]
)
def test_no_mail_tells_what_is_old(age, old):
    assert is_old(NOON - age, NOON) is old


@pytest.mark.parametrize(
    "sent, most, objection",
    [
        (SentMails(), 10, None),
        (SentMails(lately=9), 10, None),
        (SentMails(lately=10), 10, "too_many"),
        (SentMails(lately=11), 10, "too_many"),
        (SentMails(), 0, "too_many"),
        (SentMails(same=True), 10, "repeated"),
        (SentMails(lately=10, same=True), 10, "repeated"),
    ],
)
def test_mails_about_others_are_few(sent, most, objection):
    assert sent.objection(most) == objection

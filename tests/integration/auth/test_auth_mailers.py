"""One contract for both mailers: the SMTP server, which is a real one, and the folder."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.policy import default
from pathlib import Path

import pytest

from auth_svc.domain.mail import Mail
from auth_svc.infrastructure.mail.rendering import MailRenderer
from lib.errors import MailRefused, MailUnavailable
from lib.mail import Sender, mailer_of
from tests.fakes.auth import START, FakeClock
from tests.support.smtp import SmtpServer, nobody

MAIL = Mail(
    id="0197a3c0-0000-7000-8000-000000000001",
    kind="verification",
    to="Ann@example.com",
    name="Ann",
    token="0197a3c0-_token",
    code="12345678",
    valid_for=timedelta(hours=24),
)


class OverSmtp:
    def __init__(self, folder, clock):
        self.server = SmtpServer().__enter__()
        self.mailer = make(clock, smtp_url=self.server.url())
        self.broken = make(clock, smtp_url=nobody())

    def arrived(self):
        return [each.message for each in self.server.received]


class IntoFolder:
    def __init__(self, folder, clock):
        self.folder = folder / "some" / "mail"
        self.mailer = make(clock, mail_folder=str(self.folder))
        file = folder / "file"
        file.touch()
        self.broken = make(clock, mail_folder=str(file))

    def arrived(self):
        files = sorted(self.folder.glob("*.eml"))
        return [message_from_string(each.read_bytes().decode(), policy=default) for each in files]


def make(clock, **settings):
    renderer = MailRenderer(Sender.parse("Café Möwe <no-reply@example.org>"), "https://api.example.org/", clock)
    return mailer_of(renderer, **{"smtp_url": "", "smtp_ca_file": "", "mail_folder": "", "now": clock, **settings})


@pytest.fixture
def clock():
    return FakeClock(START)


@pytest.fixture(params=[OverSmtp, IntoFolder])
def post(request, tmp_path, clock):
    post = request.param(tmp_path, clock)
    yield post
    if isinstance(post, OverSmtp):
        post.server.__exit__()


# --- what both do ---


def test_a_mail_arrives_as_it_was_written(post):
    post.mailer.send(MAIL)

    (message,) = post.arrived()
    assert message["From"].addresses[0].display_name == "Café Möwe"
    assert message["From"].addresses[0].addr_spec == "no-reply@example.org"
    assert message["To"] == "Ann@example.com"
    assert message["Subject"] == "Café Möwe: confirm your e-mail address"
    assert message["Date"].datetime == START
    assert message["Message-ID"] == f"<{MAIL.id}@example.org>"
    assert message["X-Mail-Kind"] == "verification"
    assert message["Auto-Submitted"] == "auto-generated"
    for form in ("plain", "html"):
        body = message.get_body(preferencelist=(form,)).get_content()
        assert "https://api.example.org/pages/verify-email#token=0197a3c0-_token" in body
        assert "Hello Ann," in body


def test_a_mail_that_is_sent_again_can_be_told(post, clock):
    post.mailer.send(MAIL)
    clock.advance(seconds=5)
    post.mailer.send(MAIL)
    post.mailer.send(replace(MAIL, id="another"))

    ids = [message["Message-ID"] for message in post.arrived()]
    assert set(ids) == {f"<{MAIL.id}@example.org>", "<another@example.org>"}


def test_names_and_addresses_of_every_alphabet(post):
    post.mailer.send(replace(MAIL, to="дмитрий@почта.example", name="Дмитрий 🐇"))

    (message,) = post.arrived()
    assert "Hello Дмитрий 🐇," in message.get_body(preferencelist=("plain",)).get_content()
    assert "Hello Дмитрий 🐇," in message.get_body(preferencelist=("html",)).get_content()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "ann@",
        "ann@example.com\nBcc: eve@example.com",
        "ann@example.com\r\nRCPT TO:<eve@example.com>",
        "ann@example.com, eve@example.com",
        "<eve@example.com> ann@example.com",
        "ann@example.com> SIZE=1",
        "ann\u2028@example.com",
        "ann\x00@example.com",
        "ann\udc80@example.com",
        "=?utf-8?q?eve?=@example.com",
        "=?utf-8?q?eve=40example.org,?=@example.com",
    ],
)
def test_an_address_that_would_say_more_than_one_mailbox_is_refused(post, address):
    with pytest.raises(MailRefused) as refusal:
        post.mailer.send(replace(MAIL, to=address))

    assert "@" not in str(refusal.value)
    assert post.arrived() == []


def test_a_name_that_would_be_a_header_or_a_paragraph_is_one_line_of_text(post):
    name = "Ann\r\nBcc: eve@example.com\r\n\r\nYour bank\u2029<b>asks</b>"
    post.mailer.send(replace(MAIL, name=name))

    (message,) = post.arrived()
    assert message["Bcc"] is None
    assert message["To"] == "Ann@example.com"
    plain = message.get_body(preferencelist=("plain",)).get_content()
    assert plain.splitlines()[0] == "Hello Ann Bcc: eve@example.com Your bank <b>asks</b>,"
    assert "<b>" not in message.get_body(preferencelist=("html",)).get_content()


def test_a_line_that_begins_as_a_file_of_many_mails_has_it_stays_as_it_is(post):
    post.mailer.send(replace(MAIL, facts=(("From me", "to you"), ("From here", "é"))))

    (message,) = post.arrived()
    lines = message.get_body(preferencelist=("plain",)).get_content().splitlines()
    assert [line for line in lines if "From" in line] == ["From me: to you", "From here: é"]


def test_an_id_cannot_be_a_header(post):
    post.mailer.send(replace(MAIL, id="1>\r\nBcc: <eve@example.com"))

    (message,) = post.arrived()
    assert message["Bcc"] is None
    assert message["Message-ID"] == "<1%3E%0D%0ABcc%3A%20%3Ceve%40example%2Ecom@example.org>"


def test_a_mail_that_cannot_go_now_may_go_later(post):
    with pytest.raises(MailUnavailable) as failure:
        post.broken.send(MAIL)

    assert "Ann@" not in str(failure.value)
    assert post.arrived() == []


# --- the folder ---


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mail"


@pytest.fixture
def mailbox(folder, clock):
    return make(clock, mail_folder=str(folder))


def names(folder: Path) -> list[str]:
    """Of all that is there but the index, which no reader looks into."""
    return sorted(each.name for each in folder.iterdir() if each.name != ".index")


def mails(folder: Path) -> list[Path]:
    return [folder / name for name in names(folder)]


def test_a_file_per_mail_the_newest_name_last_for_its_owner_only(mailbox, folder, clock):
    for number in range(3):
        mailbox.send(replace(MAIL, id=str(number)))
        clock.advance(microseconds=1)

    files = mails(folder)
    assert [message_from_string(each.read_text())["Message-ID"] for each in files] == [
        f"<{number}@example.org>" for number in range(3)
    ]
    assert re.fullmatch(r"20260131T120000\.000000Z-[0-9a-f]{12}-verification\.eml", files[0].name)
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}


def test_an_address_of_other_letters_is_written_as_it_reads(mailbox, folder):
    mailbox.send(replace(MAIL, to="дмитрий@почта.example"))

    (file,) = mails(folder)
    assert "\nTo: дмитрий@почта.example\n" in file.read_text(encoding="utf-8")


def test_a_mail_that_is_sent_again_replaces_its_file_and_is_the_newest(mailbox, folder, clock):
    mailbox.send(MAIL)
    clock.advance(seconds=1)
    mailbox.send(replace(MAIL, id="another"))
    clock.advance(seconds=1)
    mailbox.send(replace(MAIL, token="again"))

    older, newest = (each.read_text() for each in mails(folder))
    assert "<another@" in older
    assert f"<{MAIL.id}@" in newest
    assert "token=3Dagain" in newest


def test_a_mail_that_cannot_be_put_in_its_place_leaves_nothing(mailbox, folder, clock):
    mailbox.send(MAIL)
    (file,) = mails(folder)
    file.unlink()
    file.mkdir()
    (file / "something").touch()

    with pytest.raises(MailUnavailable):
        mailbox.send(MAIL)

    assert names(folder) == [file.name]
    assert not list((folder / ".index").glob("*.part"))


def test_the_clock_is_the_machines_and_in_utc(folder):
    make(lambda: datetime.now(UTC), mail_folder=str(folder)).send(MAIL)

    (name,) = names(folder)
    written = datetime.strptime(name[:23], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)

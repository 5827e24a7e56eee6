"""Reading the development mailbox."""

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest

from auth_svc.domain.mail import Mail
from auth_svc.infrastructure.mail.rendering import MailRenderer
from deploy.local import mailbox
from deploy.local.__main__ import main
from lib.mail import MailboxMailer, Sender


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        message = EmailMessage()
        message["To"] = f"person{number}@example.com"
        message["Subject"] = f"Grüße {number}"
        message["X-Mail-Kind"] = "verification"
        message.set_content(f"The code is 12345{number}. Schöne Grüße")
        message.add_alternative(f"<p>{number}</p>", subtype="html")
        (tmp_path / f"2026-01-0{number + 1}.eml").write_bytes(message.as_bytes())
    return tmp_path


@pytest.fixture
def ours(tmp_path):
    """Three mails as auth_svc writes them, in a folder that the environment may name."""
    moments = iter(datetime(2026, 1, 31, hour, tzinfo=UTC) for hour in range(24))
    folder = tmp_path / "our mail"
    mailer = MailboxMailer(
        folder,
        MailRenderer(Sender("Leveret", "mail@example.org"), "http://localhost:3000", lambda: datetime.now(UTC)),
        lambda: next(moments),
    )
    hour = timedelta(hours=1)
    mailer.send(Mail("1", "verification", "Ann@example.com", token="one", code="12345678", valid_for=hour))
    mailer.send(Mail("2", "claim", "bob@example.com", token="two", valid_for=hour))
    mailer.send(Mail("3", "new_device", "ann@example.com", name="Änn"))
    mailer.send(Mail("4", "password_reset", "zoë@example.com", token="four", valid_for=hour))
    return folder


def test_the_newest_mail_is_shown_decoded(folder, capsys):
    mailbox.show(folder, 1)

    text = capsys.readouterr().out
    assert "To: person2@example.com\nSubject: Grüße 2\nX-Mail-Kind: verification\n" in text
    assert "The code is 123452. Schöne Grüße" in text
    assert "person1" not in text


def test_several_with_the_newest_last(folder, capsys):
    mailbox.show(folder, 2)

    text = capsys.readouterr().out
    assert text.index("person1") < text.index("person2")
    assert "person0" not in text


def test_an_empty_mailbox(tmp_path, capsys):
    mailbox.show(tmp_path / "mail", 1)

    assert capsys.readouterr().out == f"No mail yet in {tmp_path}/mail/\n"


def test_no_mail_of_that_kind(ours, capsys):
    mailbox.main(ours, ["--kind", "email_change"])

    assert capsys.readouterr().out == f"No such mail yet in {ours}/\n"


def test_the_link_stands_last_and_alone_and_the_code_before_it_in_one_piece(ours, capsys):
    mailbox.main(ours, ["--kind", "verification"])

    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["Code: 12345678", "http://localhost:3000/pages/verify-email#token=one"]
    assert "Please confirm that this is the e-mail address of your account at" in lines
    assert "Code: 1234 5678" in lines


def test_addresses_and_names_of_other_letters_are_shown(ours, capsys):
    mailbox.main(ours, ["2"])

    text = capsys.readouterr().out
    assert "Hello Änn," in text
    assert "\nTo: zoë@example.com\n" in text
    assert text.endswith("\nhttp://localhost:3000/pages/reset-password#token=four\n")


@pytest.mark.parametrize(
    "arguments, kinds",
    [
        ([], ["password_reset"]),
        (["--to", "ANN@example.com"], ["new_device"]),
        (["--to", "ann@example.com", "5"], ["verification", "new_device"]),
        (["--to", "ann@example.com", "--kind", "verification"], ["verification"]),
        (["--kind", "claim"], ["claim"]),
        (["--to", "zoë@example.com"], ["password_reset"]),
        (["--to", "nn@example.com"], []),
        (["3"], ["claim", "new_device", "password_reset"]),
    ],
)
def test_mails_are_chosen(ours, capsys, arguments, kinds):
    mailbox.main(ours, arguments)

    prefix = "X-Mail-Kind: "
    shown = [line.removeprefix(prefix) for line in capsys.readouterr().out.splitlines() if line.startswith(prefix)]
    assert shown == kinds


@pytest.mark.parametrize("arguments", [["many"], ["0"], ["-1"], ["--from", "ann"], ["--to"], ["1", "2"]])
def test_a_wrong_wish_is_answered_with_the_right_form(ours, capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        mailbox.main(ours, arguments)

    assert ended.value.code == 2
    assert 'make mail [ARGS="[count] [--to address] [--kind kind]"]' in capsys.readouterr().err


def test_files_of_others_do_no_harm(ours, capsys):
    (ours / "99-empty.eml").touch()
    (ours / "98-no-mail.eml").write_bytes(b"\xff\xfe\x00")
    (ours / "97.txt").write_text("no mail")

    assert mailbox.main(ours, ["9"]) == 0
    assert "(empty)" in capsys.readouterr().out
    assert mailbox.main(ours, ["9", "--to", "bob@example.com"]) == 0


def test_the_command_reads_the_folder_that_is_in_force(ours, capsys, monkeypatch):
    monkeypatch.setenv("MAIL_FOLDER", str(ours))

    assert main(["mail", "--kind", "claim"]) == 0
    assert capsys.readouterr().out.endswith("\nhttp://localhost:3000/pages/claim#token=two\n")

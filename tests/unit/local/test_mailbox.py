"""Reading the development mailbox."""

from email.message import EmailMessage

import pytest

from deploy.local import mailbox


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

    assert capsys.readouterr().out == "No mail yet in .local/mail/\n"

"""Headers that programs read stay as they are, however long they are and whichever way a mail takes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lib.errors import MailRefused
from lib.mail import MailboxMailer, Sender
from lib.mail.writing import Forms, WholeHeader, write

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LINK = "<https://api.example.org/end?token=" + "A" * 500 + ">"


@dataclass(frozen=True)
class Note:
    id: str = "1"
    kind: str = "note"
    to: str = "ann@example.com"


class Renderer:
    sender = Sender("Leveret", "mail@example.org")

    def __init__(self, folder: Path) -> None:
        (folder / "mail.txt").write_text("Hello {{ subject }}", encoding="utf-8")
        (folder / "mail.html").write_text("<p>{{ subject }}</p>", encoding="utf-8")
        self._forms = Forms.of(folder)

    def render(self, mail):
        return write(
            mail,
            to=mail.to,
            sender=self.sender,
            now=NOON,
            forms=self._forms,
            content={"subject": "a & b"},
            headers={"List-Unsubscribe": LINK},
        )


def test_a_long_header_is_one_line_over_smtp_and_in_a_file(tmp_path):
    renderer = Renderer(tmp_path)
    MailboxMailer(tmp_path / "mail", renderer, lambda: NOON).send(Note())
    (file,) = (tmp_path / "mail").glob("*.eml")
    for raw in (renderer.render(Note()).as_bytes(), file.read_bytes()):
        lines = raw.replace(b"\r\n", b"\n").split(b"\n")
        assert f"List-Unsubscribe: {LINK}".encode() in lines


def test_a_mail_has_both_forms(tmp_path):
    message = Renderer(tmp_path).render(Note())
    assert message["Subject"] == "a & b"
    assert message.get_body(("plain",)).get_content() == "Hello a & b\n"
    assert message.get_body(("html",)).get_content() == "<p>a &amp; b</p>\n"


@pytest.mark.parametrize("value", ["a\r\nBcc: eve@example.com", "a\nb", "ä", "a" * 901, "\0", "a\tb"])
def test_what_is_no_single_line_is_no_header(value):
    with pytest.raises(ValueError, match="List-Unsubscribe: "):
        WholeHeader("List-Unsubscribe", value)


def test_an_address_that_reads_as_another_is_refused(tmp_path):
    with pytest.raises(MailRefused):
        Renderer(tmp_path).render(Note(to="=?utf-8?q?ann?=@example.com"))

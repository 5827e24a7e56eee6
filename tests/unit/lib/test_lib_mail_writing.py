"""Mails read as the standard library would have written them, whatever they are made of, and headers that programs
read stay as they are, however long they are and whichever way a mail takes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.policy import SMTP
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.errors import MailRefused
from lib.mail import MailboxMailer, Sender
from lib.mail.sender import is_plain
from lib.mail.writing import Forms, WholeHeader, clean, write
from tests.support import reference_mails

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


# --- compared with the standard library ---

ATOM = "abcXYZ019!#$%&'*+-/=?^_`{|}~"
NASTY = ATOM + '@.,;:<>()[]\\" \t\r\n\x00äя🐇'
LOCAL = st.one_of(st.text(ATOM, min_size=1, max_size=70), st.text(ATOM + ".", min_size=1, max_size=20))
DOMAIN = st.lists(st.text("abcX019-", min_size=1, max_size=70), min_size=1, max_size=5).map(".".join)
ADDRESSES = st.one_of(
    st.builds("{}@{}".format, LOCAL, DOMAIN),
    st.builds("{}@example.com".format, st.text(NASTY, max_size=10)),
    st.text(NASTY, max_size=20),
)
LINES = st.one_of(st.text(max_size=100), st.text("aé =.\t-_?\r\n\x00\x0b\x85\u2028", max_size=300))
#: one line, as `clean` makes it
SUBJECTS = st.one_of(LINES.map(clean), st.text("ab ?=_<>,:'é", max_size=120))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Forms that are nothing but the text."""
    folder = tmp_path_factory.mktemp("forms")
    (folder / "mail.txt").write_text("{{ body }}", encoding="utf-8")
    (folder / "mail.html").write_text("{{ body }}", encoding="utf-8")
    return Forms.of(folder)


def outcome(writer, forms, *, to="ann@example.com", sender=Renderer.sender, subject="Hello", body="Hello"):
    """Return what is read in a mail that was written, over an ASCII way and another one, or why there is none."""
    content = {"subject": subject, "body": body}
    try:
        mail = writer(Note(), to=to, sender=sender, now=NOON, forms=forms, content=content)
    except Exception as error:  # the parser, too, fails at some texts
        return type(error)
    ways = [{"utf8": True}, {"utf8": True, "linesep": "\n"}]
    return [reference_mails.read(mail, **way) for way in (ways if not to.isascii() else [{}, *ways])]


def same(forms, **parts):
    expected = outcome(reference_mails.write, forms, **parts)
    assert outcome(write, forms, **parts) == expected
    return expected


@settings(max_examples=60)
@given(subject=SUBJECTS)
@example("")
@example(" a ")
@example(" ")
@example("   a    ")
@example("=?utf-8?q?a?=")
@example("Subject: " + "a" * 60)
@example("a" * 69)
@example("a" * 70)
@example(("word " * 40).strip())
def test_a_subject_reads_as_the_standard_library_writes_it(bare, subject):
    same(bare, subject=subject)
    written = [
        each(Note(), to=Note.to, sender=Renderer.sender, now=NOON, forms=bare, content={"subject": subject, "body": ""})
        for each in (write, reference_mails.write)
    ]
    # Also what stands there: how programs make words of it may differ.
    assert len({SMTP.fold("Subject", each["Subject"]) for each in written}) == 1


@settings(max_examples=60)
@given(body=LINES)
@example("")
@example("a" * 998)
@example("a" * 999)
@example("ä" * 999)
@example("From me\n.\n..\n--\n--a--\n \n\ta\t \nä \n=3D=\r\na\rb")
@example(".\nä\n.\nFrom me\n" + " " * 100 + "\n" + "=" * 100)
def test_a_text_reads_as_the_standard_library_writes_it(bare, body):
    same(bare, body=body)


@settings(max_examples=100)
@given(
    body=st.lists(st.sampled_from(["From ", "from ", "\n", "=", "=FF", "é", "\xff", "word " * 15]), max_size=30).map(
        "".join
    )
)
@example("From me")
@example("\nFrom ")
@example("From From me\nFrom=FF me")
@example("é" + "a" * 70 + "From " * 40)
def test_no_line_begins_as_smtplib_would_change_it(bare, body):
    same(bare, body=body)
    message = write(
        Note(), to=Note.to, sender=Renderer.sender, now=NOON, forms=bare, content={"subject": "", "body": body}
    )
    assert b"\nFrom " not in message.as_bytes()


@settings(max_examples=60)
@given(name=SUBJECTS.map(clean))
@example('"quoted" \\ (comment), <a@b.example>')
@example("=?utf-8?q?a?=")
@example("Café Möwe " * 9)
def test_a_senders_name_reads_as_the_standard_library_writes_it(bare, name):
    same(bare, sender=Sender(name, "mail@example.org"))


@settings(max_examples=150)
@given(to=ADDRESSES)
@example("=?utf-8?q?ann?=@example.com")
@example("a=b?=@example.com")
@example("a" * 64 + "@" + ".".join(["b" * 63] * 2) + ".com")
@example("ann@example.com\r\nBcc: eve@example.com")
@example("ann@example.com, eve@example.com")
@example("käthe@bücher.example")
@example('"ann"@example.com')
@example("<ann@example.com>")
@example("ann(eve)@example.com")
@example("")
def test_an_address_is_written_or_refused_as_the_standard_library_reads_it(bare, to):
    expected = same(bare, to=to)
    if is_plain(to):
        assert [each["to"] for each in expected] == [[to]] * 3


def test_nobody_can_write_a_text_that_ends_its_form(tmp_path):
    """Whoever chooses a part of a text may have seen other mails of ours."""
    renderer = Renderer(tmp_path)
    boundaries = {renderer.render(Note()).get_boundary() for _ in range(20)}
    assert len(boundaries) == 20
    assert all(len(each) >= 24 for each in boundaries)


def test_a_sender_that_is_written_once_can_be_written_again(bare):
    """What is kept from mail to mail is not used up by one."""
    sender = Sender("Café Möwe, Бюро " * 4, "mail@example.org")
    assert len({str(outcome(write, bare, sender=sender)) for _ in range(3)}) == 1

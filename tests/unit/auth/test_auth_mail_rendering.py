"""What stands in the mails: every kind, both forms, whatever names and facts are made of."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import get_args

import pytest

from auth_svc.domain.mail import Mail, MailKind
from auth_svc.infrastructure.mail import rendering
from auth_svc.infrastructure.mail.rendering import MailRenderer
from auth_svc.infrastructure.mail.texts import TEXTS, Page
from lib.mail import Sender
from lib.mail.writing import clean, grouped, spoken
from tests.fakes.auth import START
from tests.support import reference_mails

TOKEN = "0197a3c0-_7Qz"
PAGES = {
    "verification": "verify-email",
    "claim": "claim",
    "password_reset": "reset-password",
    "email_change": "confirm-email",
    "email_change_notice": "revert-email",
}
NOTICES = {"password_changed", "account_exists", "new_device", "session_ended"}
FACTS = (("When", "31 January 2026, 12:00 UTC"), ("Device", "Firefox on <i>Linux</i>"))


def render(mail: Mail, sender: str = "Leveret <no-reply@example.org>", url: str = "https://api.example.org"):
    return MailRenderer(Sender.parse(sender), url, lambda: START).render(mail)


def mail_of(kind: str, **changes) -> Mail:
    mail = Mail(id="1", kind=kind, to="ann@example.com", facts=FACTS)
    if kind in PAGES:
        mail = replace(mail, token=TOKEN, valid_for=timedelta(hours=1))
    if kind == "verification":
        mail = replace(mail, code="12345678")
    return replace(mail, **changes)


def plain(message: EmailMessage) -> str:
    return message.get_body(preferencelist=("plain",)).get_content()


def html(message: EmailMessage) -> str:
    return message.get_body(preferencelist=("html",)).get_content()


class Seen(HTMLParser):
    """What a mail program sees: texts, and tags with their attributes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_there_is_a_text_for_every_kind_and_no_other():
    assert set(TEXTS) == set(get_args(MailKind)) == set(PAGES) | NOTICES
    assert {text.page for text in TEXTS.values()} == set(get_args(Page))


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_every_kind_says_the_same_in_both_forms(kind):
    message = render(mail_of(kind, name="Ann"))

    link = f"https://api.example.org/pages/{PAGES.get(kind, 'forgot-password')}"
    if kind in PAGES:
        link += f"#token={TOKEN}"
    seen = Seen(html(message))
    words = " ".join(seen.text.split())
    flowing = " ".join(plain(message).split())
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert f"\n{link}\n" in plain(message)
    assert [tag["href"] for name, tag in seen.tags if name == "a"] == [link]
    assert link in words
    text = TEXTS[kind]
    for sentence in (text.opening, text.otherwise, "This is an automatic mail from {site}"):
        assert sentence.format(site="Leveret") in flowing
        assert sentence.format(site="Leveret") in words
    for form in (flowing, words):
        assert "Hello Ann," in form
        assert "When: 31 January 2026, 12:00 UTC" in form
        assert "Device: Firefox on <i>Linux</i>" in form
        assert ("valid for 1 hour" in form) == (kind in PAGES)
    assert message["Subject"].startswith("Leveret: ")
    assert message["X-Mail-Kind"] == kind


@pytest.mark.parametrize("sender", ["Leveret <no-reply@example.org>", "Café Möwe <no-reply@example.org>"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "Zoë 🐇", "to": "дмитрий@почта.example"},
        {"name": "n" * 1000, "facts": (("f" * 1000, "é" * 1000),), "id": "x" * 200 + ".1"},
        {"name": "=?utf-8?q?a?=\r\n.\r\nFrom me", "to": "a=?b@example.com", "facts": (("--", "--"), (".", "<b>&"))},
    ],
    ids=["plain", "other letters", "long", "nasty"],
)
@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_every_kind_reads_as_the_standard_library_writes_it(monkeypatch, kind, changes, sender):
    mail = mail_of(kind, **{"name": "Ann", **changes})
    ours = render(mail, sender)
    monkeypatch.setattr(rendering, "write", reference_mails.write)
    reference = render(mail, sender)

    for way in ({"utf8": True}, {"utf8": True, "linesep": "\n"}, {})[: 3 if mail.to.isascii() else 2]:
        assert reference_mails.read(ours, **way) == reference_mails.read(reference, **way)


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_every_kind_says_what_to_do_if_it_was_not_you(kind):
    assert re.search(r"\bnot\b", TEXTS[kind].otherwise)


@pytest.mark.parametrize("kind", sorted(PAGES))
def test_the_token_stands_in_the_fragment_of_the_link_and_nowhere_else(kind):
    message = render(mail_of(kind))

    for part in (*message.values(), plain(message), html(message)):
        assert TOKEN not in re.sub(rf"https://api\.example\.org/pages/[a-z-]+#token={TOKEN}", "", part)


def test_a_token_of_any_letters_stays_in_its_fragment():
    message = render(mail_of("claim", token='a/b+c="d"<e> &f#g'))

    link = "https://api.example.org/pages/claim#token=a%2Fb%2Bc%3D%22d%22%3Ce%3E%20%26f%23g"
    assert f"\n{link}\n" in plain(message)
    assert [tag["href"] for name, tag in Seen(html(message)).tags if name == "a"] == [link]


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_a_token_is_there_exactly_when_the_kind_needs_one(kind):
    wrong = mail_of(kind, token=None if kind in PAGES else TOKEN)

    with pytest.raises(ValueError, match="token") as error:
        render(wrong)
    assert TOKEN not in str(error.value)


def test_a_code_is_grouped_for_reading_and_copied_in_one_piece():
    message = render(mail_of("verification"))

    assert "\nCode: 1234 5678\n" in plain(message)
    assert "12345678" in Seen(html(message)).text
    assert "Link and code are valid for 1 hour and can be used once." in plain(message)


def test_without_code_there_is_no_word_of_one():
    message = render(mail_of("verification", code=None))

    assert "code" not in plain(message).lower()
    assert "The link is valid for 1 hour" in plain(message)


def test_without_a_limit_there_is_no_word_of_one():
    assert "valid" not in plain(render(mail_of("verification", valid_for=None)))


@pytest.mark.parametrize("name", [None, "", " ", "\n", "\u202e"])
def test_without_a_name_the_greeting_is_neutral(name):
    message = render(mail_of("claim", name=name))

    assert plain(message).startswith("Hello,\n")
    assert "Hello,<" in html(message)


def test_markup_in_names_and_facts_is_text():
    attack = '<b>Ann</b><script src="//x"></script>{{ 7*7 }}&amp;'
    message = render(mail_of("new_device", name=attack, facts=((attack, attack),)))

    seen = Seen(html(message))
    assert "script" not in {name for name, _ in seen.tags}
    assert "b" not in {name for name, _ in seen.tags}
    assert f"Hello {attack}," in seen.text
    assert f"{attack}: {attack}" in seen.text
    assert plain(message).startswith(f"Hello {attack},\n")


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x1b[2J", "\x00"])
def test_a_fact_stays_on_its_line(break_):
    message = render(mail_of("new_device", facts=(("Device", f"x{break_}Open https://evil.example"),)))

    line = next(each for each in plain(message).split("\n") if each.startswith("Device: "))
    assert line.endswith("Open https://evil.example")
    assert line.isprintable()


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_nothing_is_loaded_and_no_theme_is_broken(kind):
    seen = Seen(html(render(mail_of(kind))))

    harmless = {"html", "head", "meta", "title", "body", "div", "p", "a", "span", "strong", "br"}
    assert {name for name, _ in seen.tags} <= harmless
    assert {"src", "background", "class", "onclick"} & {key for _, tag in seen.tags for key in tag} == set()
    assert ("meta", {"name": "color-scheme", "content": "light dark"}) in seen.tags
    styles = [tag["style"] for _, tag in seen.tags if "style" in tag]
    assert not any("url(" in style for style in styles)
    # Whoever sets one of the two colours sets both, or a dark theme makes it unreadable.
    assert [style for style in styles if "color:" in style.replace("background-color:", "")] == [
        style for style in styles if "background-color:" in style
    ]


def test_there_is_no_address_of_anybody_else_in_a_mail():
    for kind in TEXTS:
        for form in (plain, html):
            assert set(re.findall(r"https?://[^/\s\"<]+", form(render(mail_of(kind))))) == {"https://api.example.org"}


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_an_ascii_mail_travels_as_it_reads(kind):
    message = render(mail_of(kind, name="Ann"))

    raw = message.as_bytes().decode("ascii")
    assert f"pages/{TEXTS[kind].page}" in raw
    assert TEXTS[kind].page not in PAGES.values() or f"#token={TOKEN}\r\n" in raw
    assert max(map(len, plain(message).splitlines())) <= 78
    assert "\t" not in plain(message)
    assert "\n\n\n" not in plain(message)


def test_a_name_of_other_letters_travels_encoded():
    raw = render(mail_of("new_device", name="Zoë 🐇")).as_bytes()

    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) < 998


def test_long_values_are_cut():
    message = render(mail_of("new_device", name="n" * 100_000, facts=(("f" * 1000, "v" * 1000),)))

    assert len(plain(message)) < 2000
    assert max(map(len, message.as_bytes().split(b"\r\n"))) < 998


def test_the_site_is_called_as_its_mails_are_signed():
    assert render(mail_of("claim"))["Subject"] == "Leveret: you are invited"
    assert render(mail_of("claim"), "no-reply@example.org")["Subject"] == "api.example.org: you are invited"
    message = render(mail_of("claim"), '"Möwe & {site}" <no-reply@example.org>')
    assert message["Subject"] == "Möwe & {site}: you are invited"
    assert "Möwe &amp; {site}" in html(message)


def test_a_slash_behind_the_public_url_is_not_doubled():
    message = render(mail_of("claim"), url="https://example.org/base/")

    assert f"\nhttps://example.org/base/pages/claim#token={TOKEN}\n" in plain(message)


@pytest.mark.parametrize("to", ["a" * 60 + "@" + ".".join(["b" * 60] * 3) + ".com", "o'brien+x@example.com"])
def test_an_address_stays_in_one_piece(to):
    assert f"\r\nTo: {to}\r\n".encode() in render(mail_of("claim", to=to)).as_bytes()


def test_an_id_of_any_length_stays_in_one_piece():
    message = render(mail_of("claim", id="x" * 200 + ".1"))

    assert b"\r\nMessage-ID: <" + b"x" * 200 + b"%2E1@example.org>\r\n" in message.as_bytes()


# --- the small words ---


@pytest.mark.parametrize(
    "time, words",
    [
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "1 hour 30 minutes"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=30), "30 days"),
        (timedelta(days=1, hours=1, minutes=1), "1 day 1 hour"),
        (timedelta(seconds=61), "1 minute 1 second"),
        (timedelta(seconds=0.4), "0 seconds"),
        (timedelta(minutes=10), "10 minutes"),
    ],
)
def test_times_are_spoken(time, words):
    assert spoken(time) == words


@pytest.mark.parametrize(
    "code, pieces",
    [
        ("123456", ["123", "456"]),
        ("12345678", ["1234", "5678"]),
        ("123456789", ["123", "456", "789"]),
        ("ABCDEFGH", ["ABCD", "EFGH"]),
        ("1234", ["1234"]),
        ("123", ["123"]),
        ("1234567", ["1234", "567"]),
    ],
)
def test_codes_are_grouped(code, pieces):
    assert grouped(code) == pieces


@pytest.mark.parametrize(
    "text, line",
    [
        (" a  b ", "a b"),
        ("a\u202eb\u2066c", "abc"),
        ("a\ud800b", "a b"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
    ],
)
def test_text_of_strangers_is_one_plain_line(text, line):
    assert clean(text) == line

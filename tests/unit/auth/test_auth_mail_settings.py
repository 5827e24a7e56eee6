"""The settings of mails: read once, refused at the start with one line that shows no password."""

from __future__ import annotations

import pytest

from auth_svc.bootstrap import CONFIG, build_mailer
from auth_svc.domain.mail import Mail
from lib import config as configuration
from lib.config import ConfigError
from lib.errors import MailUnavailable
from lib.logs import redact
from lib.mail import Sender, SmtpServer
from tests.conftest import ROOT
from tests.support.certificates import Authority
from tests.support.smtp import HOST
from tests.support.smtp import SmtpServer as SmtpServerOfTest
from users_svc.bootstrap import build_mailer as build_mailer_of_users

MAIL = Mail(id="1", kind="new_device", to="ann@example.com")

PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "k" * 40,
    "METRICS_TOKEN": "m" * 32,
    "AMQP_URI": "amqp://auth:s3cret@localhost/",
    **{
        f"{service}_{kind}": f"postgresql+psycopg2://u:s3cret@localhost/{service}"
        for service in ("AUTH", "USERS", "PAYMENTS")
        for kind in ("DATABASE_URL", "MIGRATION_DATABASE_URL")
    },
    "SMTP_URL": "smtps://post:s3cret@mail.example.org",
    "MAIL_FROM": "mail@example.org",
    "PUBLIC_URL": "https://api.example.org",
}


def load(**environment):
    config = configuration.load(ROOT / "config.yaml", dict(environment))
    configuration.check(config, CONFIG)
    return config


# --- SMTP_URL ---


@pytest.mark.parametrize(
    "url, server",
    [
        ("smtp://mail.example.org", SmtpServer("mail.example.org", 587, tls=False)),
        ("smtps://mail.example.org/", SmtpServer("mail.example.org", 465, tls=True)),
        ("smtp://[::1]:25", SmtpServer("::1", 25, tls=False)),
        ("smtp://a%40b:c%2Fd%3A%25@h:1", SmtpServer("h", 1, tls=False, user="a@b", password="c/d:%")),
        ("smtp://user:p@ss@h:1", SmtpServer("h", 1, tls=False, user="user", password="p@ss")),
        ("SMTP://h", SmtpServer("h", 587, tls=False)),
        ("smtp://:@h", SmtpServer("h", 587, tls=False)),
    ],
)
def test_a_server_is_read_from_its_url(url, server):
    assert SmtpServer.parse(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org",
        "mail.example.org:587",
        "http://mail.example.org",
        "smtp://",
        "smtp://:587",
        "smtp://h:0",
        "smtp://h:65536",
        "smtp://h:http",
        "smtp://user:s3cret/x@h:1",
        "smtp://user:s3cret#x@h:1",
        "smtp://user:s3cret?x@h:1",
        "smtp://user:s3cret@h/path",
        "smtp://user:s3cret@h/?tls=no",
        "smtp://s3cret@h",
        "smtp://:s3cret@h",
        "smtp://user:@h?s3cret",
        "smtp://user:s3crét@h",
        "smtp://user:s3cret@h\r\nRSET",
        "smtp://user:s3cret@h h",
        "smtp://user:s3cret@hé.example",
        "smtp://user:s3cret@a..b",
        f"smtp://user:s3cret@{'a' * 64}.example",
        "smtp://[::1",
        "smtp://user:s3cret@[h]:1",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_shown(url):
    with pytest.raises(ConfigError) as refusal:
        load(SMTP_URL=url)

    assert str(refusal.value).startswith("SMTP_URL: ")
    assert "\n" not in str(refusal.value)
    assert "s3cr" not in str(refusal.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.9", "[::1]"])
def test_what_is_inside_this_machine(host):
    assert SmtpServer.parse(f"smtp://{host}").is_here


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost.example", "10.0.0.1", "mail", "127.0.0.1.example"])  # noqa: S104
def test_what_is_not_inside_this_machine(host):
    assert not SmtpServer.parse(f"smtp://{host}").is_here


def test_the_password_is_shown_nowhere():
    config = load(SMTP_URL="smtp://user:s3cr%2Fet@h")

    assert "s3cr" not in repr(SmtpServer.parse(config["SMTP_URL"]))
    assert "s3cr" not in str(redact(config))


# --- MAIL_FROM ---


@pytest.mark.parametrize(
    "text, name, address",
    [
        ("Leveret <mail@example.org>", "Leveret", "mail@example.org"),
        ("mail@example.org", "", "mail@example.org"),
        ("<mail@example.org>", "", "mail@example.org"),
        ('"Leveret, Inc." <mail@example.org>', "Leveret, Inc.", "mail@example.org"),
        ("Leveret, Inc. (EU) <mail@example.org>", "Leveret, Inc. (EU)", "mail@example.org"),
        (" Café 🐇  <mail@xn--mwe-sna.example> ", "Café 🐇", "mail@xn--mwe-sna.example"),
    ],
)
def test_a_sender_has_a_name_and_an_address(text, name, address):
    assert Sender.parse(text) == Sender(name, address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Leveret",
        "Leveret <>",
        "Leveret <mail>",
        "Leveret <mail@localhost>",
        "a@example.org, b@example.org",
        "Leveret <a@example.org>, <b@example.org>",
        "Leveret <a@example.org> x",
        "Leveret\nBcc: <a@example.org>",
        "<a@example.org",
        "Leveret <ä@example.org>",
        "Leveret <a@möwe.example>",
    ],
)
def test_a_sender_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="MAIL_FROM: "):
        load(MAIL_FROM=text)


# --- the others ---


def test_a_file_without_certificates_is_refused(tmp_path):
    empty = tmp_path / "empty.pem"
    empty.touch()

    for path in (tmp_path / "missing.pem", empty, tmp_path):
        with pytest.raises(ConfigError, match="SMTP_CA_FILE: cannot read certificates from"):
            load(SMTP_CA_FILE=str(path))

    assert load(SMTP_CA_FILE=str(Authority(tmp_path).file))


@pytest.mark.parametrize("name", ["SMTP_URL", "SMTP_CA_FILE", "MAIL_FROM", "MAIL_FOLDER", "PUBLIC_URL"])
@pytest.mark.parametrize("value", [None, 5, True])
def test_what_is_missing_or_no_text_is_refused(name, value):
    config = load()

    with pytest.raises(ConfigError, match=name):
        configuration.check({**config, name: value}, CONFIG)
    with pytest.raises(ConfigError, match=f"{name}: missing"):
        configuration.check({key: each for key, each in config.items() if key != name}, CONFIG)


@pytest.mark.parametrize("name, value", [("MAIL_FOLDER", ""), ("MAIL_FROM", ""), ("PUBLIC_URL", "example.org")])
def test_what_cannot_be_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        load(**{name: value})


# --- what is made of them ---


def test_mails_are_files_unless_there_is_a_server(tmp_path):
    with SmtpServerOfTest() as server:
        build_mailer(load(MAIL_FOLDER=str(tmp_path))).send(MAIL)
        assert (len(list(tmp_path.glob("*.eml"))), len(server.received)) == (1, 0)

        build_mailer(load(MAIL_FOLDER=str(tmp_path), SMTP_URL=server.url(), MAIL_FROM="a@example.org")).send(MAIL)
        assert (len(list(tmp_path.glob("*.eml"))), len(server.received)) == (1, 1)

    (mail,) = server.received
    assert mail.sender == "a@example.org"
    assert "http://localhost:3000/pages/forgot-password" in mail.content.decode()


def test_an_authority_of_ones_own_is_trusted(tmp_path):
    authority = Authority(tmp_path)
    with SmtpServerOfTest(tls=authority.server(HOST)) as server:
        build_mailer(load(SMTP_URL=server.url(), SMTP_CA_FILE=str(authority.file))).send(MAIL)
        with pytest.raises(MailUnavailable):
            build_mailer(load(SMTP_URL=server.url())).send(MAIL)

    assert len(server.received) == 1


def test_production_takes_a_server_and_a_sender_of_its_own():
    assert build_mailer(load(**PRODUCTION))


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("SMTP_URL", "", "SMTP_URL: needed in production; without it, mails become files that nobody reads"),
        (
            "MAIL_FROM",
            "Leveret <no-reply@leveret.localhost>",
            "MAIL_FROM: the development default is refused in production",
        ),
    ],
)
def test_production_refuses_what_would_lose_mails(name, value, said):
    with pytest.raises(ConfigError) as refusal:
        build_mailer(load(**{**PRODUCTION, name: value}))

    assert str(refusal.value) == said


@pytest.mark.parametrize("url", ["https://xn--mwe-sna.example", "HTTPS://api.example.org:8443/there/", "https://[::1]"])
def test_production_takes_links_that_are_safe(url):
    assert build_mailer(load(**{**PRODUCTION, "PUBLIC_URL": url}))


@pytest.mark.parametrize("build", [build_mailer, build_mailer_of_users])
@pytest.mark.parametrize(
    "url, said",
    [
        ("http://localhost:3000", "https"),
        ("http://api.example.org", "https"),
        ("https://möwe.example", "ASCII"),
        ("https://api.example.org/möwe", "ASCII"),
        ("https://\u0430pi.example.org", "ASCII"),
        ("https://", "host"),
        ("https://:443", "host"),
        ("https:///there", "host"),
        ("https://api.example.org /", "host"),
    ],
)
def test_production_refuses_links_that_are_not(build, url, said):
    with pytest.raises(ConfigError, match=f"^PUBLIC_URL: .*{said}"):
        build(load(**{**PRODUCTION, "PUBLIC_URL": url}))
    assert build({**load(), "PUBLIC_URL": url})


def test_the_default_sender_is_one_that_production_refuses():
    config = configuration.load(ROOT / "config.yaml", {})

    with pytest.raises(ConfigError, match="MAIL_FROM"):
        build_mailer({**config, "APP_ENV": "production", "SMTP_URL": "smtp://h"})

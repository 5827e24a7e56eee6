"""Mails over TLS, and who may see our credentials on the way to the SMTP server, which is aiosmtpd."""

from __future__ import annotations

import subprocess
import sys

import pytest

from auth_svc.domain.mail import Mail
from lib.errors import MailUnavailable
from tests.conftest import ROOT
from tests.support import smtp
from tests.support.certificates import Authority
from tests.support.smtp import HOST, mailer_to

MAIL = Mail(id="1", kind="password_reset", to="ann@example.com", token="a-token")
LOGIN = ("post@example.org", "p@ss:w/rd%?")
CREDENTIALS = "post%40example.org:p%40ss%3Aw%2Frd%25%3F@"
#: reaches this machine, but is no address of the loopback network
ELSEWHERE = "0.0.0.0"  # noqa: S104


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"))


def is_unavailable(mailer):
    """Assert that the mail cannot go now, and return why."""
    with pytest.raises(MailUnavailable) as failure:
        mailer.send(MAIL)
    return str(failure.value)


def test_starttls_is_used_when_it_is_offered(authority):
    with smtp.SmtpServer(starttls=authority.server(HOST)) as server:
        mailer_to(server.url(), authority.file).send(MAIL)

    (mail,) = server.received
    assert mail.tls


def test_smtps_is_encrypted_from_the_first_byte(authority):
    with smtp.SmtpServer(tls=authority.server("localhost")) as server:
        mailer_to(server.url("localhost"), authority.file).send(MAIL)

    (mail,) = server.received
    assert mail.tls


@pytest.mark.parametrize("way", ["tls", "starttls"])
@pytest.mark.parametrize("case", ["another authority", "the system's authorities", "another host"])
def test_a_certificate_that_does_not_fit_stops_the_mail(authority, stranger, way, case):
    context = authority.server("mail.example.org" if case == "another host" else HOST)
    trusted = {"another authority": stranger.file, "the system's authorities": None}.get(case, authority.file)
    with smtp.SmtpServer(**{way: context}) as server:
        reason = is_unavailable(mailer_to(server.url(), trusted))

    assert "certificate not accepted" in reason
    assert server.received == []


def test_smtps_to_a_server_without_tls(authority):
    with smtp.SmtpServer() as server:
        is_unavailable(mailer_to(server.url().replace("smtp:", "smtps:"), authority.file))

    assert server.received == []


# --- credentials ---


@pytest.mark.parametrize("way", ["tls", "starttls"])
def test_credentials_travel_encrypted(authority, way):
    with smtp.SmtpServer(login=LOGIN, **{way: authority.server(ELSEWHERE)}) as server:
        mailer_to(server.url(ELSEWHERE, CREDENTIALS), authority.file).send(MAIL)

    (mail,) = server.received
    assert mail.tls
    assert mail.user == LOGIN[0]


def test_credentials_may_travel_in_the_open_inside_this_machine():
    with smtp.SmtpServer(login=LOGIN) as server:
        mailer_to(server.url(HOST, CREDENTIALS)).send(MAIL)
        mailer_to(server.url("localhost", CREDENTIALS)).send(MAIL)

    assert [each.user for each in server.received] == [LOGIN[0]] * 2


def test_credentials_do_not_travel_in_the_open_anywhere_else():
    with smtp.SmtpServer(login=LOGIN) as server:
        reason = is_unavailable(mailer_to(server.url(ELSEWHERE, CREDENTIALS)))

    assert "no STARTTLS" in reason
    assert server.logins == []


def test_without_credentials_a_relay_in_our_network_may_go_without_tls():
    with smtp.SmtpServer() as server:
        mailer_to(server.url(ELSEWHERE)).send(MAIL)

    assert len(server.received) == 1


def test_wrong_credentials_lose_no_mail():
    with smtp.SmtpServer(login=LOGIN) as server:
        reason = is_unavailable(mailer_to(server.url(HOST, "post%40example.org:wrong@")))

    assert "signing in failed: 535" in reason
    assert "wrong" not in reason
    assert set(server.logins) == {LOGIN[0]}


def test_missing_credentials_lose_no_mail():
    with smtp.SmtpServer(login=LOGIN) as server:
        assert "530" in is_unavailable(mailer_to(server.url()))


def test_credentials_that_the_server_does_not_ask_for_lose_no_mail():
    with smtp.SmtpServer() as server:
        assert "not supported" in is_unavailable(mailer_to(server.url(HOST, CREDENTIALS)))


# --- in a service, whose blocking calls Eventlet has replaced ---

IN_A_SERVICE = """
import warnings
warnings.filterwarnings("ignore", message=r"\\s*Eventlet is deprecated")
import eventlet
eventlet.monkey_patch()
import sys
from auth_svc.domain.mail import Mail
from lib.errors import MailUnavailable
from tests.support.smtp import mailer_to

ca_file, silent, *urls = sys.argv[1:]
mail = Mail(id="1", kind="password_reset", to="ann@example.com", token="a-token")
beats = 0

def beat():
    global beats
    while True:
        beats += 1
        eventlet.sleep(0.02)

eventlet.spawn(beat)
for url in urls:
    mailer_to(url, ca_file).send(mail)
for scheme in ("smtp", "smtps"):
    before = beats
    try:
        mailer_to(f"{scheme}://{silent}", timeout=0.5).send(mail)
    except MailUnavailable:
        print(beats - before)
"""


def test_a_service_goes_on_while_it_waits_for_the_mail_server(authority):
    with (
        smtp.SmtpServer(starttls=authority.server(HOST)) as first,
        smtp.SmtpServer(tls=authority.server(HOST), login=LOGIN) as second,
        smtp.silent_server() as silent,
    ):
        arguments = [authority.file, silent.removeprefix("smtp://"), first.url(), second.url(HOST, CREDENTIALS)]
        process = subprocess.run(
            [sys.executable, "-c", IN_A_SERVICE, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert process.returncode == 0, process.stderr
    # Were it the only one that may do something, there would be none at all.
    assert [int(beats) > 5 for beats in process.stdout.split()] == [True, True], process.stdout
    assert [len(server.received) for server in (first, second)] == [1, 1]
    assert all(server.received[0].tls for server in (first, second))

"""A mail server that takes connections and never says a word holds up mails alone, and no mail is lost by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from lib.wire import connect
from tests.e2e.client import Client, unique_email
from tests.support import smtp
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

FEW_WORKERS = "12"
PEOPLE = 30
LOGINS = 8
NO_PLACE = "enough mails are on their way already"


@pytest.fixture
def silence() -> Iterator[tuple[str, ExitStack]]:
    """The URL of a silent SMTP server, and what closes it before the test ends, so that another can have its port."""
    with ExitStack() as server:
        yield server.enter_context(smtp.silent_server()), server


@pytest.fixture
def slow_mail(running_stack: Stack, silence: tuple[str, ExitStack]) -> Iterator[Stack]:
    """The product, with few workers in auth_svc, which hands its mails to the silent server."""
    running_stack.stop(["auth_svc"])
    try:
        running_stack.start("auth_svc", AUTH_MAX_WORKERS=FEW_WORKERS, SMTP_URL=silence[0])
        yield running_stack
    finally:
        running_stack.stop(["auth_svc"])
        running_stack.start("auth_svc")


def parked(stack: Stack) -> int:
    with connect(stack.environment["AMQP_URI"], name="test", heartbeat=10) as connection:
        return int(connection.channel().queue_declare("dead-auth_svc", passive=True).message_count)


def seconds_of_login(stack: Stack, email: str) -> float:
    began = time.monotonic()
    Client(stack.url).login(email)
    return time.monotonic() - began


def test_a_silent_mail_server_slows_no_login_and_gets_every_mail_once_it_speaks(
    slow_mail: Stack, silence: tuple[str, ExitStack]
) -> None:
    stack, (url, silent_server) = slow_mail, silence
    before, earlier = parked(stack), len(stack.log("auth_svc"))
    addresses = [unique_email() for _ in range(PEOPLE)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda email: Client(stack.url).register(email=email), addresses))

    # A mail keeps its place for ten seconds: all of these meet the server's silence.
    logins = [seconds_of_login(stack, email) for email in addresses[:LOGINS]]
    assert max(logins) < 1.5, logins
    # Far more tries than an event has that fails for another reason: each waited and came back, again and again.
    eventually(lambda: stack.log("auth_svc")[earlier:].count(NO_PLACE) > 6 * PEOPLE, within=20, every=0.2)

    silent_server.close()
    server = smtp.SmtpServer()
    server.port = urlsplit(url).port or 0
    with server:
        eventually(lambda: len(server.received) >= PEOPLE, within=30, every=0.1)
    assert sorted(str(mail.recipients[0]) for mail in server.received) == sorted(addresses)
    assert parked(stack) == before

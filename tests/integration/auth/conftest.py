"""auth_svc's ports on a real database, without the broker."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from auth_svc.application.send_mail import send_mail
from auth_svc.bootstrap import build_ports
from auth_svc.infrastructure.argon2 import Argon2Hasher
from lib import config as configuration
from tests.fakes.auth_mailbox import FakeMailer

ROOT = Path(__file__).resolve().parents[3]
DEFAULTS = configuration.load(ROOT / "config.yaml", {})


def quick_hasher(**parameters):
    return Argon2Hasher(lambda function, *arguments: function(*arguments), memory=64, **parameters)


@pytest.fixture
def instance(auth_sessions):
    """Make the ports of one more instance of the service on the same database; hashes cost nothing here."""

    def make(**config):
        ports = build_ports({**DEFAULTS, **config}, auth_sessions)
        return replace(ports, hasher=quick_hasher(), mailer=FakeMailer())

    return make


@pytest.fixture
def postman(auth_sessions):
    """Hand the mails in the outbox to the worker, as the broker would, and return the newest of a kind."""
    delivered = set()

    def deliver(ports, kind):
        with auth_sessions() as session:
            rows = session.execute(
                sa.text("select envelope from outbox where type = 'mail.requested' order by position")
            ).scalars()
            wanted = [row for row in rows if row["id"] not in delivered]
        for envelope in wanted:
            delivered.add(envelope["id"])
            send_mail(ports, event_id=envelope["id"], **envelope["data"])
        return ports.mailer.last(kind)

    return deliver


@pytest.fixture
def count(auth_sessions):
    """Count the rows of a table."""

    def rows(table, where="true"):
        with auth_sessions() as session:
            return session.scalar(sa.text(f"select count(*) from {table} where {where}"))

    return rows


@pytest.fixture
def at_once():
    """Call ``action(index)`` in so many threads at the same moment; return results and errors."""

    def run(number, action):
        start = threading.Barrier(number)

        def one(index):
            start.wait(timeout=10)
            try:
                return action(index)
            except Exception as exc:
                return exc

        with ThreadPoolExecutor(number) as pool:
            return list(pool.map(one, range(number)))

    return run

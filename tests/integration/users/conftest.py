"""users_svc's ports on a real database, without the broker and without auth_svc; people, and what they are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from lib import config as configuration
from lib.ids import new_id, rfc3339
from tests.fakes.users import FakeIdentities
from tests.support import smtp
from users_svc.application.notify import notify
from users_svc.bootstrap import build_mailer, build_ports
from users_svc.domain.account_state import AccountState
from users_svc.domain.profile import Profile
from users_svc.domain.text import address_key
from users_svc.infrastructure.tables import pending_notification_mails, preference_records

ROOT = Path(__file__).resolve().parents[3]
DEFAULTS = configuration.load(ROOT / "config.yaml", {})
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Nobody:
    """A client of auth_svc that is never asked: `FakeIdentities` stands before it."""


@pytest.fixture
def ports(users_sessions):
    """The ports of the running service on an empty database; accounts are known to a `FakeIdentities`."""
    return replace(build_ports(DEFAULTS, users_sessions, Nobody()), identities=FakeIdentities())


@pytest.fixture
def person(ports):
    """Store a profile and the state of its account; return the id.

    ``person(name="Ann", private=True, …)``: any field of `Profile` but the id; the e-mail address is one of its own
    unless it is given.
    """

    def make(name="Ann Example", **fields):
        user_id, now = new_id(), ports.now()
        email, disabled = fields.pop("email", f"{user_id.hex}@example.com"), fields.get("disabled", False)
        account = AccountState(user_id, email=email, name=name, disabled=disabled, email_sequence=1, name_sequence=1)
        account.email_verified = fields.pop("email_verified", True)
        profile = Profile.open(user_id, email=email, name=name, now=now)
        for field, value in fields.items():
            # A typing error would otherwise make an attribute of its own.
            assert hasattr(profile, field), field
            setattr(profile, field, value)
        profile.index()
        profile.email_key = address_key(email) if account.email_verified else None
        with ports.unit_of_work() as uow:
            uow.accounts.add_or_get(account)
            uow.profiles.add_or_get(profile)
            uow.commit()
        return user_id

    return make


# --- what is stored ---


@pytest.fixture
def rows(users_sessions):
    """``rows(table, name=value, …)``: what is stored."""

    def rows(table, **wanted):
        found = users_sessions.all(sa.select(table))
        return [each for each in found if all(each[name] == value for name, value in wanted.items())]

    return rows


@pytest.fixture
def change(users_sessions):
    """``change(statement)``: what nobody does by a use case."""

    def change(statement):
        with users_sessions() as session:
            session.execute(statement)
            session.commit()

    return change


@pytest.fixture
def edge(change):
    """``edge(follows, bob, ann)``: the first is to the second what the table says."""

    def add(table, source, target):
        first, second = list(table.columns)[:2]
        change(sa.insert(table).values({first.name: source, second.name: target, "id": new_id(), "created_at": NOON}))

    return add


@pytest.fixture
def choose(change):
    """Store what somebody wants to be told of."""

    def choose(user_id, **data):
        change(sa.delete(preference_records).where(preference_records.c.user_id == user_id))
        record = {"user_id": user_id, "kind": "notification_preferences", "schema_version": 1, "data": data}
        change(sa.insert(preference_records).values(**record, version=1, updated_at=NOON))

    return choose


# --- what is told, and when ---


class Clock:
    """:param now: what it shows until the test says something else"""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock(NOON)


@pytest.fixture
def ann(person):
    return person("Ann", email="ann@example.com")


@pytest.fixture
def bob(person):
    return person("Bob")


def told(ports, user_id, type="payment_succeeded", *, event_id=None, by=None, data=None, at=None, **more):
    """Tell somebody something, by default that they have paid, now; return the event's id."""
    event_id = event_id or str(new_id())
    notify(
        ports,
        event_id=event_id,
        occurred_at=rfc3339(at or ports.now()),
        user_id=str(user_id),
        type=type,
        data=data,
        actor_id=None if by is None else str(by),
        **more,
    )
    return event_id


@pytest.fixture
def tell(ports):
    return lambda *args, **named: told(ports, *args, **named)


@pytest.fixture
def server():
    with smtp.SmtpServer() as server:
        yield server


class Tally:
    """What became of mails."""

    def __init__(self):
        self.counted = []
        self.waits = None

    def sent(self, kind):
        self.counted.append((kind, "sent", ""))

    def failed(self, kind, reason):
        self.counted.append((kind, "failed", reason))

    def dropped(self, kind, reason):
        self.counted.append((kind, "dropped", reason))

    def waiting(self, number):
        self.waits = number


@pytest.fixture
def post(ports, server, clock):
    """The ports, with a clock of the test's and mails that go to its server."""
    mailer = build_mailer({**DEFAULTS, "SMTP_URL": server.url(), "MAIL_FROM": "Leveret <mail@example.org>"})
    return replace(ports, mailer=mailer, now=clock, mail_tally=Tally())


@pytest.fixture
def pending(users_sessions):
    """``pending()``: the mails that wait."""
    return lambda: users_sessions.all(sa.select(pending_notification_mails))


def plain(mail):
    """Return the text of a mail that has arrived."""
    return mail.message.get_body(("plain",)).get_content().replace("\r\n", "\n")

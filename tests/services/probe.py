"""A service whose only business is to behave well or badly on demand."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from lib import outbox
from lib.access import anyone, owner
from lib.database import Database
from lib.errors import Conflict
from lib.events import event_handler
from lib.operations import Operations
from lib.provide import Provide
from lib.rpc import rpc
from lib.service_rpc import ServiceRpc
from lib.uow import SqlUnitOfWork

metadata = sa.MetaData()
outbox_table = outbox.outbox_table(metadata)
inbox_table = outbox.inbox_table(metadata)
effects = sa.Table(
    "effects",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
)


shelves = sa.Table(
    "shelves",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("changes", sa.Integer, nullable=False, server_default="0"),
)

# Who may come in, as events of two types say it: what any service keeps that follows somebody else's state.
standings = sa.Table(
    "standings",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
)


class Taken(Conflict):
    code = "taken"


def build(config: dict[str, Any], sessions: Any, **others: Any) -> Any:
    return SimpleNamespace(sessions=sessions, others=others)


class ProbeService:
    """Echoes, fails, sleeps, and writes one row per effect."""

    name = "probe_svc"
    ports = Provide(build, database=Database(), stock=ServiceRpc("stock_svc"), probe=ServiceRpc("probe_svc"))
    operations = Operations()

    @rpc(allow=anyone, idempotent=True)
    def echo(self, value=None):
        """Return `value`."""
        return value

    @rpc(allow=anyone)
    def refuse(self):
        """Raise a domain error."""
        raise Taken("somebody has it", field="name")

    @rpc(allow=anyone)
    def crash(self):
        """Raise what nobody foresaw, with a secret in its text."""
        raise ValueError("postgresql://probe:hunter2@db/probe is broken")

    @rpc(allow=anyone, idempotent=True)
    def unserializable(self):
        """Return what JSON cannot say."""
        return object()

    @rpc(allow=anyone, idempotent=True)
    def large(self, size):
        """Return a text of so many characters."""
        return "x" * size

    @rpc(allow=anyone)
    def write(self, name, seconds=0):
        """Say that it has begun, sleep, then write an effect."""
        self._write(f"begun {name}")
        time.sleep(seconds)
        self._write(name)
        return name

    @rpc(allow=anyone)
    def write_after(self, name, awaited):
        """Say that it has begun, wait for half a minute at most until `awaited` has happened, then write an effect."""
        self._write(f"begun {name}")
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            with self.ports.sessions() as session:
                if session.scalar(sa.select(sa.func.count()).where(effects.c.name == awaited)):
                    break
            time.sleep(0.1)
        self._write(name)
        return name

    @rpc(allow=anyone)
    def sleep(self, seconds):
        """Wait, without a database."""
        time.sleep(seconds)
        return seconds

    @rpc(allow=anyone, idempotent=True)
    def slow_query(self, seconds):
        """Have PostgreSQL take its time."""
        with self.ports.sessions() as session:
            session.execute(sa.text("select pg_sleep(:seconds)"), {"seconds": seconds})
        return seconds

    @rpc(allow=anyone, idempotent=True)
    def change(self, *names, pause=0):
        """Count a change of each shelf, in this order, in one transaction; returns how often this ran."""
        self._write(f"change {'-'.join(names)}")
        with self.ports.sessions() as session:
            for name in names:
                session.execute(shelves.update().where(shelves.c.name == name).values(changes=shelves.c.changes + 1))
                time.sleep(pause)
            session.commit()
        return list(names)

    @rpc(allow=anyone)
    def change_once(self, *names, pause=0):
        """The same, of a method that must not run twice."""
        return self.change(*names, pause=pause)

    @rpc(allow=anyone, idempotent=True)
    def shelf(self, name):
        """Read one row."""
        with self.ports.sessions() as session:
            return session.scalar(sa.select(shelves.c.changes).where(shelves.c.name == name))

    @rpc(allow=anyone)
    def ask(self, service, method, *args):
        """Call another service (``stock``, ``probe``) and return its answer."""
        return getattr(self.ports.others[service], method)(*args)

    @rpc
    def for_operators(self):
        """Open to the system actor only."""
        return "ok"

    @rpc(allow=owner("user_id"))
    def mine(self, user_id):
        """Open to its owner only."""
        return user_id

    @event_handler("source_svc", "thing.happened")
    def on_thing(self, event):
        self._effect("on_thing", event)

    @event_handler("source_svc", "thing.happened")
    def also_on_thing(self, event):
        self._effect("also_on_thing", event)

    @event_handler("source_svc", "thing.failed")
    def on_failed(self, event):
        """Fail as often as the event says."""
        with self.ports.sessions() as session:
            name = f"attempt {event['id']}"
            session.execute(effects.insert().values(name=name))
            session.commit()
            tries = session.scalar(sa.select(sa.func.count()).where(effects.c.name == name))
        if tries <= event["data"]["fails"]:
            raise RuntimeError("told to fail, password=hunter2")
        self._effect("on_failed", event)

    @event_handler("source_svc", "thing.lethal")
    def on_lethal(self, event):
        """Take the process down, as a crash in a C library would."""
        self._write(f"attempt {event['id']}")
        os.kill(os.getpid(), signal.SIGKILL)

    @event_handler("source_svc", "user.disabled")
    def on_disabled(self, event):
        self._follow(event, enabled=False)

    @event_handler("source_svc", "user.enabled")
    def on_enabled(self, event):
        self._follow(event, enabled=True)

    def _follow(self, event: dict[str, Any], *, enabled: bool) -> None:
        """Take over the newest state; an event that is told to be late fails until a newer one was there."""
        new = insert(standings).values(subject=event["subject"], enabled=enabled, sequence=event["sequence"])
        with self.ports.sessions() as session:
            known = session.scalar(sa.select(standings.c.sequence).where(standings.c.subject == event["subject"]))
            if event["data"].get("late") and (known or 0) < event["sequence"]:
                self._write(f"early {event['id']}")
                raise RuntimeError("told to come late")
            session.execute(
                new.on_conflict_do_update(
                    index_elements=[standings.c.subject],
                    set_={"enabled": new.excluded.enabled, "sequence": new.excluded.sequence},
                    where=standings.c.sequence < new.excluded.sequence,
                )
            )
            session.commit()
        self._write(f"followed {event['id']}")

    def _effect(self, handler: str, event: dict[str, Any]) -> None:
        with SqlUnitOfWork(self.ports.sessions) as uow:
            if uow.first_time(handler, event["id"]):
                uow.session.execute(effects.insert().values(name=f"{handler} {event['id']}"))
                uow.commit()

    def _write(self, name: str) -> None:
        with self.ports.sessions() as session:
            session.execute(effects.insert().values(name=name))
            session.commit()

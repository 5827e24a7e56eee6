"""PostgreSQL for a service: nameko-sqlalchemy's provider with the limits that a payments system needs.

nameko-sqlalchemy 1.5.0 exports DB_ENGINE_OPTIONS without reading it, formats the URI (a brace in a password breaks it),
and makes its engine without pre-ping, time limits or a pool that fits the workers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2
import sqlalchemy as sa
from eventlet import patcher
from eventlet.hubs import trampoline
from nameko.exceptions import ConfigurationError
from nameko_sqlalchemy.database import DB_URIS_KEY
from nameko_sqlalchemy.database import Database as NamekoDatabase
from psycopg2 import extensions
from sqlalchemy.orm import Session, sessionmaker

from lib import direct
from lib.errors import OutcomeUnknown
from lib.group_commit import GroupCommit

CONNECT_TIMEOUT = 3
#: of one process, if the configuration says nothing else
MOST_CONNECTIONS = 16
#: PostgreSQL's codes for the loser of a race that a second try wins
RETRIED = frozenset({"40001", "40P01"})


class Base:
    """Stands where nameko-sqlalchemy expects a declarative base: its name is part of the key in ``DB_URIS``."""


def make_engine(
    uri: str, *, statement_timeout: float, pool_size: int, application_name: str, pool_timeout: float | None = None
) -> sa.Engine:
    """Return an engine whose every wait is bounded.

    :param statement_timeout: seconds; a lock is waited for less than half as long, so that the waiter gets a clear
        answer first, even one that waits twice: for its turn to wait for a row, then for the row
    :param pool_size: connections at most
    :param pool_timeout: seconds that somebody may wait for one; as long as a statement may take unless it is given
    """
    milliseconds = int(statement_timeout * 1000)
    options = (
        f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds * 9 // 20}"
        f" -c idle_in_transaction_session_timeout={milliseconds * 4} -c timezone=UTC"
    )
    engine = sa.create_engine(
        uri,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=statement_timeout if pool_timeout is None else pool_timeout,
        pool_use_lifo=True,
        # Error texts end up in logs; parameters are people's data.
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT,
            "options": options,
            "application_name": application_name,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": milliseconds * 2,
        },
    )
    sa.event.listen(engine, "checkout", _refuse_dead)
    return engine


# Eventlet takes `poll` away from `select`; this one only looks and never waits.
_poll, _POLLIN = patcher.original("select").poll, patcher.original("select").POLLIN


def _refuse_dead(connection: Any, _record: Any, _proxy: Any) -> None:
    """Do not hand out a connection whose server has gone.

    An idle PostgreSQL connection has nothing to read. If there is something, it is the end: a restart, a kill. This
    finds what ``pool_pre_ping`` finds, without its round trip on every checkout.
    """
    if connection.closed:
        raise sa.exc.InvalidatePoolError("this connection is closed")
    poll = _poll()
    poll.register(connection.fileno(), _POLLIN)
    if poll.poll(0):
        raise sa.exc.InvalidatePoolError("the server has closed this connection")


def _wait(connection: Any) -> None:
    """Wait for psycopg2 as Eventlet does, but not for ever: the time limits of a server that hangs do not fire."""
    while True:
        state = connection.poll()
        if state == extensions.POLL_OK:
            return
        try:
            trampoline(
                connection.fileno(),
                read=state == extensions.POLL_READ,
                write=state == extensions.POLL_WRITE,
                timeout=_longest_wait,
                timeout_exc=TimeoutError,
            )
        except TimeoutError as exc:
            # psycopg2 closes the connection for it, so nobody gets it from the pool again.
            raise psycopg2.OperationalError("the server does not answer") from exc


_longest_wait = 600.0


def bound_waits(seconds: float) -> None:
    """Have no greenlet of this process wait for PostgreSQL longer than that."""
    global _longest_wait  # noqa: PLW0603
    _longest_wait = seconds
    if patcher.is_monkey_patched("psycopg"):
        extensions.set_wait_callback(_wait)


class Sessions:
    """The ways into one database: ``sessions()`` for a transaction, ``sessions.first(…)`` for a single read.

    A read through a session costs three round trips (BEGIN, SELECT, ROLLBACK) and the bookkeeping of objects that
    nobody will change. A single SELECT sees one state of the database without that.

    :param engine: from `make_engine`
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        #: for commits that nobody waits for
        self.group = GroupCommit(engine, saving)
        self._make = sessionmaker(engine, class_=_Session, expire_on_commit=False)

    def __call__(self) -> Session:
        """Return a fresh session, whose objects stay readable after commit; whoever asks closes it."""
        return self._make()

    def first(self, statement: sa.Select[Any] | sa.CompoundSelect[Any], **parameters: Any) -> dict[str, Any] | None:
        """Return the first row of a SELECT by column name, or None.

        :param parameters: values of its ``bindparam``: a statement that has any is built once, and compiled once
        """
        plan = direct.plan(statement, parameters, self.engine.dialect)
        if plan is not None:
            return plan.first_record(self.engine, parameters)
        with autocommit(self.engine) as connection:
            row = connection.execute(statement, parameters).first()
        return None if row is None else dict(row._mapping)

    def all(self, statement: sa.Select[Any], **parameters: Any) -> list[dict[str, Any]]:
        """Return all rows of a SELECT by column name. As `first`."""
        plan = direct.plan(statement, parameters, self.engine.dialect)
        if plan is not None:
            return plan.records(self.engine, parameters)
        with autocommit(self.engine) as connection:
            return [dict(row._mapping) for row in connection.execute(statement, parameters)]


@contextmanager
def autocommit(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a connection on which each message to PostgreSQL is a transaction by itself.

    Not by SQLAlchemy's ``isolation_level``: changing that back takes a round trip at the next checkout, outside of
    what SQLAlchemy translates, so a server that has gone would come out as psycopg2's own error.
    """
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.autocommit = True
        try:
            yield connection
        finally:
            if not driver.closed:
                driver.autocommit = False


@contextmanager
def saving() -> Iterator[None]:
    """Tell a commit whose answer was lost from one that has certainly not happened.

    :raises OutcomeUnknown: the server went away within the block
    """
    try:
        yield
    except sa.exc.DBAPIError as exc:
        if not exc.connection_invalidated:
            raise
        raise OutcomeUnknown("the database went away while it was saving; it may have happened") from exc


class _Session(Session):
    def commit(self) -> None:
        self.flush()  # What fails here has left nothing behind.
        with saving():
            super().commit()


def sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's five-character code of a database error, or None."""
    return getattr(getattr(error, "orig", None), "pgcode", None)


class Database(NamekoDatabase):
    """A sub-extension of `lib.provide.Provide`: makes the engine once per container."""

    def __init__(self, engine_options: Mapping[str, Any] | None = None) -> None:
        super().__init__(Base, engine_options=dict(engine_options or {}))
        self._sessions: Sessions | None = None

    def bind(self, container: Any, attr_name: str = "database") -> Any:
        return super().bind(container, attr_name)

    def setup(self) -> None:
        self.open()

    def stop(self) -> None:
        self.open().engine.dispose()

    kill = stop

    def open(self) -> Sessions:
        """Return the ways into the service's database; Nameko sets extensions up side by side, so who comes first
        makes them."""
        if self._sessions is None:
            config, service = self.container.config, self.container.service_name
            key = f"{service}:{Base.__name__}"
            if key not in config[DB_URIS_KEY]:
                raise ConfigurationError(f"{DB_URIS_KEY}: no entry for {key}")
            bound_waits(float(config["DB_STATEMENT_TIMEOUT"]) + 1)
            engine = make_engine(
                config[DB_URIS_KEY][key],
                statement_timeout=float(config["DB_STATEMENT_TIMEOUT"]),
                # For workers, and besides them the relay and the health check.
                pool_size=min(self.container.max_workers, config.get("DB_POOL_SIZE", MOST_CONNECTIONS)) + 2,
                pool_timeout=_pool_timeout(config),
                application_name=service,
            )
            self._sessions = Sessions(engine)
        return self._sessions


def _pool_timeout(config: Mapping[str, Any]) -> float:
    """Return how long a call may wait for a connection: if its statement takes all the time that it may, too, the
    caller is to hear of it before it leaves."""
    statement = float(config["DB_STATEMENT_TIMEOUT"])
    return max(0.5, min(statement, float(config["RPC_TIMEOUT"]) - statement - 0.5))


def wait_for(uri: str, seconds: float) -> None:
    """Return when the database answers; raise the last error after `seconds`."""
    deadline = time.monotonic() + seconds
    engine = sa.create_engine(uri, poolclass=sa.pool.NullPool, connect_args={"connect_timeout": CONNECT_TIMEOUT})
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("select 1"))
            return
        except sa.exc.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def hide_password(uri: str) -> str:
    """Return the URI as it may be shown."""
    return re.sub(r"(?<=://)([^:/@]+):[^@]+@", r"\1:***@", uri)

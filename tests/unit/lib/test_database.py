"""The engine's limits, dead connections, and what of a URI may be shown."""

import os
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from lib import database

URI = "postgresql+psycopg2://app:hunter2@db:5432/x"


@pytest.fixture
def engine():
    return database.make_engine(URI, statement_timeout=3, pool_size=4, application_name="some_svc")


def connect_arguments(engine):
    """What psycopg2 would be given."""
    given = {}

    def connect(dialect, record, args, kwargs):
        given.update(kwargs)
        raise ConnectionAbortedError

    sa.event.listen(engine, "do_connect", connect)
    with pytest.raises(ConnectionAbortedError):
        engine.connect()
    return given


def test_every_wait_of_the_server_is_bounded_and_a_lock_is_waited_for_less_than_a_statement(engine):
    given = connect_arguments(engine)
    assert set(given["options"].replace("-c ", "").split()) == {
        "statement_timeout=3000",
        "lock_timeout=1350",
        "idle_in_transaction_session_timeout=12000",
        "timezone=UTC",
    }
    assert given["connect_timeout"] == 3
    assert given["tcp_user_timeout"] == 6000
    assert given["application_name"] == "some_svc"


def test_the_pool_has_a_fixed_size_and_a_bounded_wait(engine):
    assert engine.pool.size() == 4
    assert engine.pool._max_overflow == 0
    assert engine.pool._timeout == 3


@pytest.fixture
def opened():
    """``opened(max_workers=4, DB_POOL_SIZE=8)`` → the engine that a container with that gets."""

    def open_(max_workers, **settings):
        config = {"DB_URIS": {"some_svc:Base": URI}, "DB_STATEMENT_TIMEOUT": 3, "RPC_TIMEOUT": 5, **settings}
        provider = database.Database()
        provider.container = SimpleNamespace(config=config, service_name="some_svc", max_workers=max_workers)
        return provider.open().engine

    before = database._longest_wait
    yield open_
    database.bound_waits(before)


@pytest.mark.parametrize(
    ("workers", "settings", "connections"),
    [(4, {"DB_POOL_SIZE": 16}, 6), (160, {"DB_POOL_SIZE": 16}, 18), (160, {"DB_POOL_SIZE": 1}, 3), (160, {}, 18)],
)
def test_a_service_has_no_more_connections_than_workers_nor_than_it_may(opened, workers, settings, connections):
    assert opened(workers, **settings).pool.size() == connections


@pytest.mark.parametrize(
    ("statement", "rpc", "pool"), [(3, 5, 1.5), (4, 5, 0.5), (3, 4, 0.5), (0.5, 1.5, 0.5), (1, 60, 1)]
)
def test_who_waits_for_a_connection_and_then_for_a_statement_hears_of_it_in_time(opened, statement, rpc, pool):
    assert opened(16, DB_STATEMENT_TIMEOUT=statement, RPC_TIMEOUT=rpc).pool._timeout == pool


def test_the_texts_of_errors_do_not_hold_the_parameters(engine):
    assert engine.hide_parameters


@pytest.fixture
def connection():
    """A connection whose server's end is a pipe's."""
    reading, writing = os.pipe()
    yield SimpleNamespace(fileno=lambda: reading, closed=0, server=writing)
    os.close(reading)
    os.close(writing)


def test_a_quiet_connection_is_handed_out(connection):
    assert database._refuse_dead(connection, None, None) is None


def test_a_connection_with_a_last_word_in_it_is_refused(connection):
    os.write(connection.server, b"terminating connection")
    with pytest.raises(sa.exc.InvalidatePoolError):
        database._refuse_dead(connection, None, None)


def test_a_connection_that_is_closed_is_refused(connection):
    connection.closed = 2
    with pytest.raises(sa.exc.InvalidatePoolError):
        database._refuse_dead(connection, None, None)


def test_a_connection_that_psycopg2_has_closed_is_refused():
    class Closed:
        closed = 1

        def fileno(self):
            raise RuntimeError("connection already closed")  # psycopg2.InterfaceError, in truth

    with pytest.raises(sa.exc.InvalidatePoolError):
        database._refuse_dead(Closed(), None, None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (sa.exc.OperationalError("x", {}, SimpleNamespace(pgcode="40001")), "40001"),
        (sa.exc.OperationalError("x", {}, Exception()), None),
        (ValueError(), None),
    ],
)
def test_the_code_of_an_error(error, code):
    assert database.sqlstate(error) == code


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (URI, "postgresql+psycopg2://app:***@db:5432/x"),
        ("amqp://guest:guest@127.0.0.1:5672/", "amqp://guest:***@127.0.0.1:5672/"),
        ("postgresql://db/x", "postgresql://db/x"),
        ("postgresql://app@db/x", "postgresql://app@db/x"),
    ],
)
def test_a_uri_as_it_may_be_shown(uri, shown):
    assert database.hide_password(uri) == shown


def test_sessions_keep_their_objects_readable_after_commit_and_open_transactions(engine):
    session = database.Sessions(engine)()
    assert session.expire_on_commit is False
    assert "isolation_level" not in session.get_bind().get_execution_options()

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

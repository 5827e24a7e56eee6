"""The migrations of users_svc go up, down and up again, keep the data, and make the tables that the code knows."""

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from lib import migrations
from lib.ids import new_id
from tests.support import databases
from users_svc.infrastructure.tables import metadata

SERVICE, DATABASE = "users_svc", "users_migrations"


@pytest.fixture
def uri(migrated):
    """The owner's way to an empty database."""
    superuser = databases.admin(migrated["POSTGRES_SUPERUSER_URL"])
    with superuser.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{DATABASE}"'))
        connection.execute(sa.text(f'CREATE DATABASE "{DATABASE}" OWNER users_owner'))
    yield databases.on_database(migrated["USERS_MIGRATION_DATABASE_URL"], DATABASE)
    with superuser.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{DATABASE}"'))
    superuser.dispose()


@pytest.fixture
def run(uri):
    """``run(sql, …)`` → the rows of the last statement, as the owner."""

    def run(*statements, **values):
        with migrations.owner(uri) as connection:
            for statement in statements:
                result = connection.execute(sa.text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    return run


def up(uri, revision="head"):
    migrations.upgrade(SERVICE, uri, "users_app", revision)


def down(uri, revision):
    command.downgrade(migrations.settings(SERVICE, uri), revision)


def drift(uri):
    with migrations.owner(uri) as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def tables(run):
    return {name for (name,) in run("select tablename from pg_tables where schemaname = 'public'")} - databases.KEPT


def test_they_go_up_and_down_and_up_again(uri, run):
    up(uri)
    assert tables(run) == set(metadata.tables)
    down(uri, "base")
    assert tables(run) == set()
    up(uri)
    up(uri)
    assert tables(run) == set(metadata.tables)


def test_they_make_the_tables_that_the_code_knows(uri, run):
    up(uri)
    assert drift(uri) == []
    run("alter table tombstones add column reason text")
    assert [each[0] for each in drift(uri)] == ["remove_column"]


def test_each_step_down_and_up_again_leaves_no_trace(uri):
    up(uri)
    for revision in ("0001", "base"):
        down(uri, revision)
        up(uri)
        assert drift(uri) == []


def test_profiles_that_were_there_are_known_accounts_afterwards(uri, run):
    up(uri, "0001")
    user_id = new_id()
    run(
        "insert into profiles (id, email, display_name, source_sequence, created_at, updated_at)"
        " values (:id, 'ann@example.com', 'Ann', 7, now(), now())",
        id=user_id,
    )
    states = "select id, email, name, disabled, email_sequence, name_sequence, status_sequence from account_states"
    for _ in range(2):
        up(uri)
        assert run(states) == [(user_id, "ann@example.com", "Ann", False, 7, 7, 0)]
        assert run("select email, display_name, disabled from profiles") == [("ann@example.com", "Ann", False)]
        down(uri, "0001")
        assert run("select source_sequence from profiles") == [(7,)]

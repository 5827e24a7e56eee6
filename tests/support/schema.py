"""One service's tables, made and unmade by its migrations in a database of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from lib import migrations
from tests.support import databases


class Schema:
    """:param name: of the service's database: ``auth``, ``users``, ``payments``"""

    def __init__(self, environment: Mapping[str, str], name: str) -> None:
        self.service, self._app = f"{name}_svc", f"{name}_app"
        self._database, self._owner = f"{name}_migrations", f"{name}_owner"
        self._superuser = databases.admin(environment["POSTGRES_SUPERUSER_URL"])
        self._uri = databases.on_database(environment[f"{name.upper()}_MIGRATION_DATABASE_URL"], self._database)
        self.metadata = migrations.metadata_of(self.service)

    def create(self) -> None:
        self._administer(f'DROP DATABASE IF EXISTS "{self._database}"')
        self._administer(f'CREATE DATABASE "{self._database}" OWNER {self._owner}')

    def drop(self) -> None:
        self._administer(f'DROP DATABASE "{self._database}"')
        self._superuser.dispose()

    def up(self, revision: str = "head") -> None:
        migrations.upgrade(self.service, self._uri, self._app, revision)

    def down(self, revision: str) -> None:
        command.downgrade(migrations.settings(self.service, self._uri), revision)

    def run(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Execute a statement as the owner, and return its rows."""
        with migrations.owner(self._uri) as connection:
            result = connection.execute(sa.text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def drift(self) -> list[Any]:
        """Return what the tables of the code have otherwise."""
        with migrations.owner(self._uri) as connection:
            options = {"compare_type": True, "compare_server_default": True}
            context = MigrationContext.configure(connection, opts=options)
            return list(compare_metadata(context, self.metadata))

    def tables(self) -> set[str]:
        found = self.run("select tablename from pg_tables where schemaname = 'public'")
        return {name for (name,) in found} - {"alembic_version"}

    def _administer(self, statement: str) -> None:
        with self._superuser.connect() as connection:
            connection.execute(sa.text(statement))

"""Alembic for each service, run as the owner; the running service gets no more rights than it needs.

A service's ``infrastructure/migrations/env.py`` is two lines: it calls `run` with the service's metadata.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory

#: any number, but the same in every process: one migration at a time
LOCK = 7_420_114


def settings(service: str, uri: str) -> Config:
    """Return Alembic's settings for the service's migrations.

    :param uri: of the owner role
    """
    spec = find_spec(f"{service}.infrastructure.migrations")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"{service} has no infrastructure/migrations")
    config = Config()
    config.set_main_option("script_location", str(Path(next(iter(spec.submodule_search_locations)))))
    config.set_main_option("path_separator", "os")
    config.attributes["uri"] = uri
    return config


def run(metadata: sa.MetaData) -> None:
    """Run the migrations that Alembic asks for; called by ``env.py``."""
    engine = sa.create_engine(context.config.attributes["uri"], poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            compare_type=True,
            compare_server_default=True,
            transaction_per_migration=False,
        )
        with context.begin_transaction():
            connection.execute(sa.text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            context.run_migrations()
    engine.dispose()


def upgrade(service: str, uri: str, app_role: str, revision: str = "head") -> None:
    """Bring the service's database to `revision` and grant the running service what it may do.

    Append-only tables (``APPEND_ONLY`` in a migration module) can be read and added to by `app_role`, not changed.
    """
    config = settings(service, uri)
    command.upgrade(config, revision)
    grant(uri, app_role, append_only(config))


def append_only(config: Config) -> set[str]:
    """Return the tables that some migration declares append-only."""
    scripts = ScriptDirectory.from_config(config)
    return {name for script in scripts.walk_revisions() for name in getattr(script.module, "APPEND_ONLY", ())}


def grant(uri: str, app_role: str, protected: set[str]) -> None:
    """Let `app_role` read and write rows, but define nothing, and only add to the `protected` tables."""
    with owner(uri) as connection:
        quote = connection.dialect.identifier_preparer.quote
        role = quote(app_role)
        connection.execute(sa.text(f"GRANT USAGE ON SCHEMA public TO {role}"))
        connection.execute(sa.text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"))
        for name in sa.inspect(connection).get_table_names():
            table = quote(name)
            rights = "SELECT" if name == "alembic_version" else "SELECT, INSERT"
            if name not in protected and name != "alembic_version":
                rights += ", UPDATE, DELETE"
            connection.execute(sa.text(f"REVOKE ALL ON {table} FROM {role}"))
            connection.execute(sa.text(f"GRANT {rights} ON {table} TO {role}"))


@contextmanager
def owner(uri: str) -> Iterator[sa.Connection]:
    """Give a connection of the owner role, in one transaction."""
    engine = sa.create_engine(uri, poolclass=sa.pool.NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def metadata_of(service: str) -> Any:
    """Return the metadata that the service's tables stand in."""
    return import_module(f"{service}.infrastructure.tables").metadata

"""Private databases: migrated once, copied for each purpose, emptied between tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).parents[2]
SERVICES = {"auth_svc": "auth", "users_svc": "users", "payments_svc": "payments"}


def admin(superuser_url: str) -> sa.Engine:
    return sa.create_engine(superuser_url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)


def on_database(url: str, name: str) -> str:
    """Return the same URL for another database."""
    return str(sa.make_url(url).set(database=name).render_as_string(hide_password=False))


def migrate(environment: Mapping[str, str], services: Iterable[str] = tuple(SERVICES)) -> None:
    """Run the operators' own migration step."""
    running = [
        (
            service,
            subprocess.Popen(
                [sys.executable, "-m", "lib.cli", service, "migrate"],
                cwd=ROOT,
                env=dict(environment),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ),
        )
        for service in services
    ]
    for service, process in running:
        output, _ = process.communicate(timeout=90)
        assert process.returncode == 0, f"{service} migrate: {output}"


def copy(superuser_url: str, source: str, target: str) -> None:
    """Make a database `target` as a copy of `source`, with the same rights; nobody may be connected to `source`."""
    engine = admin(superuser_url)
    with engine.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{target}"'))
        connection.execute(sa.text(f'CREATE DATABASE "{target}" TEMPLATE "{source}" OWNER {source}_owner'))
        connection.execute(sa.text(f'REVOKE CONNECT ON DATABASE "{target}" FROM PUBLIC'))
        connection.execute(sa.text(f'GRANT CONNECT ON DATABASE "{target}" TO {source}_app, {source}_owner'))
    engine.dispose()


#: Only what has been written to since the last time: a TRUNCATE costs the same for an empty table.
EMPTY = """
DO $$
DECLARE
    written text;
    started text;
BEGIN
    SELECT string_agg(oid::regclass::text, ', ') INTO written FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
        AND pg_relation_size(oid) > 0;
    IF written IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || written || ' CASCADE';
    END IF;
    FOR started IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
        EXECUTE 'ALTER SEQUENCE ' || quote_ident(started) || ' RESTART';
    END LOOP;
END $$
"""


def empty(superuser_url: str, database: str) -> None:
    """Delete every row, whatever the service's role may delete; what is numbered begins at 1 again."""
    engine = admin(on_database(superuser_url, database))
    with engine.connect() as connection:
        connection.exec_driver_sql(EMPTY)
    engine.dispose()

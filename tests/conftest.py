"""Fixtures for every kind of test.

Nothing here looks at `.env` or at given addresses: the infrastructure is private, on free ports, and started only when
a test asks for it. The test process itself is not monkey-patched; services run as processes of their own.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

import sqlalchemy as sa  # noqa: E402
from eventlet import patcher  # noqa: E402
from hypothesis import settings  # noqa: E402

from deploy.local.environment import names_in, scrub  # noqa: E402
from deploy.local.infra import Infrastructure  # noqa: E402
from lib.database import Sessions, make_engine  # noqa: E402
from tests.support import databases  # noqa: E402
from tests.support.stack import SERVICES, Stack  # noqa: E402
from tests.support.waiting import eventually  # noqa: E402

# How long an example takes says how busy the machine is, not whether the answer is right.
settings.register_profile("leveret", deadline=None)
settings.load_profile("leveret")

PURPOSES = ("sql", "lonely")
WATCHED = [
    ROOT / "tests" / each
    for each in ("unit", "contract", *(f"integration/{name}" for name in databases.SERVICES.values()))
]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run if a test module has brought greenlets into this process: threads would hang, anywhere."""
    assert not patcher.is_monkey_patched("thread"), "something imports lib.runner or lib.cli into the test process"
    # Thousands of tests are there now and stay: the garbage collector need not go through them again and again.
    gc.collect()
    gc.freeze()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Watch what is covered only where rules and use cases run in this process: it makes Python much slower."""
    if not any(map(item.path.is_relative_to, WATCHED)):
        item.add_marker("no_cover")


@pytest.fixture(scope="session")
def infrastructure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infrastructure]:
    """A private RabbitMQ, PostgreSQL and Redis."""
    servers = Infrastructure(tmp_path_factory.mktemp("infrastructure"), preferred=False, durable=False)
    servers.start()
    yield servers
    servers.destroy()


@pytest.fixture(scope="session")
def environment(infrastructure: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the product's processes get: the private servers, and nothing from the outside."""
    clean = scrub(os.environ, names_in(ROOT / "config.yaml"))
    return {
        **clean,
        **infrastructure.environment(),
        "LOG_FORMAT": "json",
        "RATE_LIMITS": "off",
        "EVENT_RETRY_DELAYS": "0.2,0.4,0.8",
        "GATEWAY_WORKERS": "1",
        "MAIL_FOLDER": str(tmp_path_factory.mktemp("mail")),
        # Tests of lost answers are no reason to keep the others from paying.
        "PROVIDER_BREAKER_FAILURES": "50",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture(scope="session")
def migrated(infrastructure: Infrastructure, environment: dict[str, str]) -> dict[str, str]:
    """The environment, once the three databases are migrated and copies for other purposes are made."""
    databases.migrate(environment)
    superuser = infrastructure.environment()["POSTGRES_SUPERUSER_URL"]
    for source in databases.SERVICES.values():
        for purpose in PURPOSES:
            databases.copy(superuser, source, f"{source}_{purpose}")
    return environment


def _sessions(migrated: dict[str, str], name: str) -> Iterator[Any]:
    database = f"{name}_sql"
    databases.empty(migrated["POSTGRES_SUPERUSER_URL"], database)
    engine = make_engine(
        databases.on_database(migrated[f"{name.upper()}_DATABASE_URL"], database),
        statement_timeout=10,
        pool_size=60,
        application_name="tests",
    )
    yield Sessions(engine)
    engine.dispose()


@pytest.fixture
def auth_sessions(migrated: dict[str, str]) -> Iterator[Any]:
    """Sessions of the running service's role on an empty database."""
    yield from _sessions(migrated, "auth")


@pytest.fixture
def users_sessions(migrated: dict[str, str]) -> Iterator[Any]:
    """Sessions of the running service's role on an empty database."""
    yield from _sessions(migrated, "users")


@pytest.fixture
def payments_sessions(migrated: dict[str, str]) -> Iterator[Any]:
    """Sessions of the running service's role on an empty database."""
    yield from _sessions(migrated, "payments")


@pytest.fixture(scope="module")
def without_autovacuum(infrastructure: Infrastructure) -> Iterator[None]:
    """For tests of plans: one that reads a new table meanwhile keeps VACUUM from marking its pages as visible to all,
    and then PostgreSQL reads them otherwise.
    """
    engine = databases.admin(infrastructure.environment()["POSTGRES_SUPERUSER_URL"])
    at_work = sa.text("select count(*) from pg_stat_activity where backend_type = 'autovacuum worker'")
    with engine.connect() as connection:
        connection.exec_driver_sql("ALTER SYSTEM SET autovacuum = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        eventually(lambda: connection.execute(at_work).scalar_one() == 0, within=60)
        yield
        connection.exec_driver_sql("ALTER SYSTEM RESET autovacuum")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    engine.dispose()


@pytest.fixture(scope="session")
def running_stack(migrated: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, running; shared by all tests that leave it healthy."""
    stack = Stack(migrated, tmp_path_factory.mktemp("logs"))
    try:
        stack.start(*SERVICES, wait=False)
        stack.start("gateway", wait=False)
        for name in (*SERVICES, "gateway"):
            stack.wait_healthy(name)
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def stack(running_stack: Stack) -> Iterator[Stack]:
    """The running product; whatever a test killed is started again after it."""
    yield running_stack
    for name in (*SERVICES, "gateway"):
        if not running_stack.running(name):
            running_stack.start(name)


@pytest.fixture
def database(migrated: dict[str, str]) -> Iterator[Any]:
    """``database("users")`` → a connection of the superuser to a service's database, for looking and for damage."""
    engines: dict[str, sa.Engine] = {}

    def connect(name: str) -> sa.Connection:
        engine = engines.setdefault(
            name, databases.admin(databases.on_database(migrated["POSTGRES_SUPERUSER_URL"], name))
        )
        return engine.connect()

    yield connect
    for engine in engines.values():
        engine.dispose()

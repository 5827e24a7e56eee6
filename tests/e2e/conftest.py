from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.infra import Infrastructure
from tests.e2e.client import Client
from tests.e2e.mailbox import Mailbox
from tests.support import databases
from tests.support.stack import Stack
from tests.support.vhosts import Vhost


@pytest.fixture
def client(stack: Stack) -> Client:
    """Nobody yet, on the running product."""
    return Client(stack.url)


@pytest.fixture
def lonely(infrastructure: Infrastructure, migrated: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """A broker (vhost) and databases that no process has ever seen."""
    vhost = Vhost(infrastructure, "lonely")
    vhost.make()
    changed = {"AMQP_URI": vhost.uri}
    for name in databases.SERVICES.values():
        for variable in (f"{name.upper()}_DATABASE_URL", f"{name.upper()}_MIGRATION_DATABASE_URL"):
            changed[variable] = databases.on_database(migrated[variable], f"{name}_lonely")
        databases.empty(migrated["POSTGRES_SUPERUSER_URL"], f"{name}_lonely")
    stack = Stack({**migrated, **changed}, tmp_path)
    yield stack
    stack.stop()
    vhost.remove()


@pytest.fixture
def mailbox(stack: Stack) -> Mailbox:
    """The mails of the running product."""
    return Mailbox(stack.mail)

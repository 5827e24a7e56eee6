"""Nameko's door to the composition root: builds a service's ports once, hands them to every worker.

It also runs the outbox's relay: who writes events needs somebody to send them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nameko.extensions import DependencyProvider, Extension

from lib.database import Database
from lib.relay import Relay


class Provide(DependencyProvider):
    """``ports = Provide(build_ports, database=Database(), other=ServiceRpc("other_svc"))``

    :param build: ``build(config, sessions, **clients)`` → the service's ports; called once per container
    :param database: the service's database; its sessions are handed to `build` as ``sessions``
    :param extensions: further Nameko extensions with a ``client()``; each client is handed to `build` by its name
    """

    relay = Relay()

    def __init__(self, build: Callable[..., Any], database: Database, **extensions: Extension) -> None:
        # No side effects here: Nameko makes every extension a second time when it binds it to a container.
        self.build = build
        self.database = database
        self.extension_names = tuple(extensions)
        for name, extension in extensions.items():
            setattr(self, name, extension)
        self._ports: Any = None

    def setup(self) -> None:
        clients = {name: getattr(self, name).client() for name in self.extension_names}
        self._ports = self.build(self.container.config, self.database.open(), **clients)

    def start(self) -> None:
        self.relay.begin(self.database.open())

    def stop(self) -> None:
        # Nameko stops dependencies after the last worker and before the connections.
        self.relay.finish()

    def get_dependency(self, worker_ctx: Any) -> Any:
        return self._ports

    @property
    def ports(self) -> Any:
        """The built ports, for extensions that work outside of any call."""
        return self._ports

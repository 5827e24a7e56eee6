"""Virtual hosts of the private broker. By HTTP: rabbitmqctl takes seconds for each command."""

from __future__ import annotations

import requests

from deploy.local.infra import Infrastructure


class Vhost:
    """:param name: also the last part of its address"""

    def __init__(self, infrastructure: Infrastructure, name: str) -> None:
        environment = infrastructure.environment()
        self.name = name
        self.uri = f"{environment['AMQP_URI'].rstrip('/')}/{name}"
        self._api = f"{environment['AMQP_MANAGEMENT_URL']}/api"

    def make(self) -> None:
        """Make it, for the broker's usual user."""
        self._ask("PUT", f"vhosts/{self.name}")
        self._ask("PUT", f"permissions/{self.name}/guest", {"configure": ".*", "write": ".*", "read": ".*"})

    def remove(self) -> None:
        """Delete it with all its queues; whoever is connected loses the connection."""
        self._ask("DELETE", f"vhosts/{self.name}")

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> None:
        requests.request(method, f"{self._api}/{path}", json=body, timeout=30).raise_for_status()

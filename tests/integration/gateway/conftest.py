"""Gateways on a broker of their own, where nobody else listens or speaks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from deploy.local.infra import Infrastructure
from gateway.app import create_app
from gateway.bearer import KeyKeeper
from gateway.revocations import RevocationKeeper
from gateway.settings import SERVICES, load_config
from gateway.state import EXTENSION
from lib.cluster import Cluster
from tests.conftest import ROOT
from tests.integration.gateway.stand_in import StandIn
from tests.support.waiting import eventually


class Process:
    """What one worker process of the gateway runs (`gateway.wsgi.Worker`), without its logs."""

    def __init__(self, uri: str, **changes: Any) -> None:
        config = load_config(ROOT / "config.yaml", {}) | {"AMQP_URI": uri, "RATE_LIMITS": "off", **changes}
        self.cluster = Cluster(config, name="gateway", services=SERVICES)
        self.app = create_app(config, self.cluster)
        own = self.app.extensions[EXTENSION]
        self.revocations = own.revocations
        self._keepers = (KeyKeeper(own.tokens.keys), RevocationKeeper(own.revocations))
        self.cluster.start()
        for keeper in self._keepers:
            keeper.start()

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def ready(self) -> bool:
        return bool(self.client.get("/health/ready").status_code == 200)

    def stop(self) -> None:
        for keeper in self._keepers:
            keeper.stop()
            keeper.join(10)
        self.cluster.stop()


class Broker:
    """A virtual host, and its operator. By HTTP: rabbitmqctl takes seconds for each command."""

    def __init__(self, infrastructure: Infrastructure, name: str) -> None:
        environment = infrastructure.environment()
        self.name = name
        self.uri = f"{environment['AMQP_URI'].rstrip('/')}/{name}"
        self._api = f"{environment['AMQP_MANAGEMENT_URL']}/api"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        response = requests.request(method, f"{self._api}/{path}", json=body, timeout=10)
        response.raise_for_status()
        return response.json() if response.content else None

    def permit(self, user: str, configure: str = ".*", write: str = ".*", read: str = ".*") -> None:
        body = {"configure": configure, "write": write, "read": read}
        self.ask("PUT", f"permissions/{self.name}/{user}", body)

    def followers(self) -> list[str]:
        """Return the queues in which gateways hear of what is revoked."""
        found = [each["name"] for each in self.ask("GET", f"queues/{self.name}?disable_stats=true")]
        return [name for name in found if name.startswith("evt-auth_svc-")]

    def close_connection_of_gateway(self) -> None:
        def mine() -> list[str]:
            told = self.ask("GET", f"vhosts/{self.name}/connections")
            return [each["name"] for each in told if "gateway on" in each.get("user_provided_name", "")]

        (name,) = eventually(mine)
        self.ask("DELETE", f"connections/{requests.utils.quote(name, safe='')}")


@pytest.fixture
def broker(infrastructure: Infrastructure) -> Iterator[Broker]:
    """A virtual host that no process has ever seen."""
    broker = Broker(infrastructure, f"gateway-{secrets.token_hex(4)}")
    broker.ask("PUT", f"vhosts/{broker.name}")
    broker.permit("guest")
    yield broker
    broker.ask("DELETE", f"vhosts/{broker.name}")


@pytest.fixture
def auth(broker: Broker) -> Iterator[StandIn]:
    stand_in = StandIn(broker.uri)
    yield stand_in
    stand_in.stop()


@pytest.fixture
def process(broker: Broker) -> Iterator[Callable[..., Process]]:
    """Return a function that starts a gateway."""
    running: list[Process] = []

    def start(uri: str = broker.uri, **changes: Any) -> Process:
        running.append(Process(uri, **changes))
        return running[-1]

    yield start
    for each in running:
        each.stop()

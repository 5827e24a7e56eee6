"""Calls from one service to another, with a deadline (stock Nameko's `RpcProxy` waits for ever)."""

from __future__ import annotations

from nameko.extensions import Extension

from lib.broker import Broker, timeout_of
from lib.rpc_client import ServiceView


class ServiceRpc(Extension):
    """``Provide(build_ports, database=Database(), other=ServiceRpc("other_svc"))``

    `build_ports` gets a client whose attributes are the other service's methods. A call carries the running call's
    context (request id, deadline, token): it ends at that call's deadline, at the latest after ``RPC_TIMEOUT``.

    :param target: the other service's name
    :param as_system: call as the system actor, not on behalf of whoever is asking
    """

    broker = Broker()

    def __init__(self, target: str, *, as_system: bool = False) -> None:
        self._target = target
        self._as_system = as_system

    def client(self) -> ServiceView:
        timeout = timeout_of(self.container.config)
        return self.broker.view(self._target, timeout=timeout, as_system=self._as_system)

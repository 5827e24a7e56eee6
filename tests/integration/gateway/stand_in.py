"""Stands where auth_svc is: answers the few calls that the gateway's own affairs need, and publishes events.

It talks plain AMQP in a thread of its own, so that a test decides when a snapshot is answered.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import amqp

from gateway.shapes import EXAMPLES
from lib.ids import new_id, rfc3339, utc_now
from lib.wire import connect
from tests.unit.gateway.conftest import Issuer

EVENTS, RPC, QUEUE = "auth_svc.events", "nameko-rpc", "rpc-auth_svc"


class StandIn:
    """A running service.

    :param declares: whether there is its events' exchange from the start
    """

    def __init__(self, uri: str, *, declares: bool = True) -> None:
        self.issuer = Issuer()
        self.pages: list[dict[str, Any]] = []
        self.snapshots_asked = 0
        #: cleared: snapshots are not answered for now
        self.answering = threading.Event()
        self.revoke()
        self.answering.set()
        self._uri = uri
        self._stopping = False
        self._connection = connect(uri, name="stand-in", heartbeat=10)
        channel = self._channel = self._connection.channel()
        channel.exchange_declare(RPC, "topic", durable=True, auto_delete=False)
        if declares:
            self.declare()
        channel.queue_declare(QUEUE, durable=True, auto_delete=False)
        channel.queue_bind(QUEUE, RPC, "auth_svc.*")
        channel.basic_consume(QUEUE, no_ack=True, callback=self._answer)
        self._thread = threading.Thread(target=self._run, name="stand-in", daemon=True)
        self._thread.start()

    def declare(self) -> None:
        """Make the exchange, as the service's migration step does."""
        with connect(self._uri, name="stand-in", heartbeat=10) as connection:
            connection.channel().exchange_declare(EVENTS, "topic", durable=True, auto_delete=False)

    def revoke(self, *sessions: str, per_page: int = 100, **accounts: int) -> None:
        """Have the snapshot say that these sessions are revoked, and nothing else.

        :param accounts: the last moment (ms) of the accounts whose ids are given as ``{"…": moment}``
        """
        parts = [sessions[at : at + per_page] for at in range(0, len(sessions), per_page)] or [()]
        self.pages = [
            {
                "sessions": dict.fromkeys(part, 1_800_000_000_000),
                "accounts": accounts if number == 0 else {},
                "next_cursor": str(number + 1) if number + 1 < len(parts) else None,
            }
            for number, part in enumerate(parts)
        ]

    def tell(self, type_: str, **data: Any) -> None:
        """Publish an event, and return when the broker has it."""
        self.publish(
            type_,
            {
                "id": str(new_id()),
                "type": type_,
                "schema_version": 1,
                "occurred_at": rfc3339(utc_now()),
                "subject": str(new_id()),
                "sequence": 1,
                "correlation_id": "c",
                "data": data,
            },
        )

    def publish(self, key: str, body: Any, **properties: Any) -> None:
        """Publish anything."""
        payload = body if isinstance(body, bytes) else json.dumps(body)
        properties = {"content_type": "application/json", "content_encoding": "utf-8", **properties}
        with connect(self._uri, name="stand-in", heartbeat=10, confirm_publish=True) as connection:
            message = amqp.Message(payload, delivery_mode=2, **properties)
            connection.channel().basic_publish_confirm(message, exchange=EVENTS, routing_key=key)

    def stop(self) -> None:
        self._stopping = True
        self.answering.set()
        self._thread.join(5)
        self._connection.collect()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._connection.drain_events(timeout=0.05)
            except TimeoutError:
                self._connection.heartbeat_tick()

    def _answer(self, message: amqp.Message) -> None:
        method = message.delivery_info["routing_key"].removeprefix("auth_svc.")
        arguments: Mapping[str, Any] = json.loads(message.body)["kwargs"]
        if method == "get_revocations":
            self.snapshots_asked += 1
            self.answering.wait(10)
            result: Any = self.pages[int(arguments["cursor"] or 0)]
        else:
            result = {"get_jwks": self.issuer.jwks, "get_account": EXAMPLES["Account"]}[method]
        reply = amqp.Message(
            json.dumps({"result": result, "error": None}),
            content_type="application/json",
            content_encoding="utf-8",
            correlation_id=message.properties["correlation_id"],
        )
        self._channel.basic_publish(reply, exchange=RPC, routing_key=message.properties["reply_to"])

"""Stands where users_svc is, for what streams need of it: inboxes in memory, the same RPC, the same event.

It talks plain AMQP in a thread of its own, so that a test decides what is told and when.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from typing import Any

import amqp

from gateway.shapes import EXAMPLES
from lib.ids import new_id, rfc3339, utc_now
from lib.wire import connect

EVENTS, RPC, QUEUE = "users_svc.events", "nameko-rpc", "rpc-users_svc"
JSON = {"content_type": "application/json", "content_encoding": "utf-8"}


class Inboxes:
    """A running service."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._lock = threading.Lock()
        self._inboxes: dict[str, list[dict[str, Any]]] = defaultdict(list)
        #: of the calls of `notifications_after`: whose, after which number
        self.asked: list[tuple[str, int | None]] = []
        #: cleared: nothing is answered for now
        self.answering = threading.Event()
        self.answering.set()
        #: what is answered instead
        self.error: dict[str, Any] | None = None
        self._stopping = False
        self._connection = connect(uri, name="inboxes", heartbeat=10)
        channel = self._channel = self._connection.channel()
        channel.exchange_declare(RPC, "topic", durable=True, auto_delete=False)
        channel.exchange_declare(EVENTS, "topic", durable=True, auto_delete=False)
        channel.queue_declare(QUEUE, durable=True, auto_delete=False)
        channel.queue_bind(QUEUE, RPC, "users_svc.*")
        channel.basic_consume(QUEUE, no_ack=True, callback=self._answer)
        self._thread = threading.Thread(target=self._run, name="inboxes", daemon=True)
        self._thread.start()

    def add(self, user_id: str, **data: Any) -> int:
        """Put a notification into an inbox, and tell nobody; return its number."""
        with self._lock:
            inbox = self._inboxes[user_id]
            inbox.append(
                {
                    "id": str(new_id()),
                    "number": len(inbox) + 1,
                    "type": "payment_succeeded",
                    "data": data,
                    "actor": None,
                    "created_at": rfc3339(utc_now()),
                    "read_at": None,
                }
            )
            return len(inbox)

    def notify(self, user_id: str, times: int = 1, **data: Any) -> list[int]:
        """Put notifications into an inbox, each with its event; return their numbers."""
        numbers = []
        with connect(self._uri, name="inboxes", heartbeat=10, confirm_publish=True) as connection:
            channel = connection.channel()
            for _ in range(times):
                number = self.add(user_id, **data)
                event = {"user_id": user_id, "number": number, "unread": number}
                self._publish(channel, "notification.created", event)
                numbers.append(number)
        return numbers

    def tell(self, key: str, data: Any) -> None:
        """Publish an event."""
        with connect(self._uri, name="inboxes", heartbeat=10, confirm_publish=True) as connection:
            self._publish(connection.channel(), key, data)

    def stop(self) -> None:
        self._stopping = True
        self.answering.set()
        self._thread.join(5)
        self._connection.collect()

    @staticmethod
    def _publish(channel: amqp.Channel, key: str, data: Any) -> None:
        body = {
            "id": str(new_id()),
            "type": key,
            "schema_version": 1,
            "occurred_at": rfc3339(utc_now()),
            "subject": str(new_id()),
            "sequence": 1,
            "correlation_id": "c",
            "data": data,
        }
        channel.basic_publish_confirm(amqp.Message(json.dumps(body), **JSON), exchange=EVENTS, routing_key=key)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._connection.drain_events(timeout=0.05)
            except TimeoutError:
                self._connection.heartbeat_tick()

    def _answer(self, message: amqp.Message) -> None:
        method = message.delivery_info["routing_key"].removeprefix("users_svc.")
        arguments = json.loads(message.body)["kwargs"]
        self.answering.wait(10)
        result: Any = EXAMPLES["PublicProfile"]
        if method == "notifications_after":
            self.asked.append((arguments["user_id"], arguments["number"]))
            result = self._after(**arguments)
        told = {"result": None, "error": self.error} if self.error else {"result": result, "error": None}
        reply = amqp.Message(json.dumps(told), correlation_id=message.properties["correlation_id"], **JSON)
        self._channel.basic_publish(reply, exchange=RPC, routing_key=message.properties["reply_to"])

    def _after(self, user_id: str, number: int | None, limit: int) -> dict[str, Any]:
        with self._lock:
            inbox = list(self._inboxes[user_id])
        data = [] if number is None else inbox[number : number + limit]
        return {"data": data, "last": len(inbox), "unread": len(inbox)}

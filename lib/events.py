"""The event entrypoint: an event that fails is tried again later, and in the end parked, never lost.

Stock Nameko acknowledges an event whose handler raised: it is gone. Here a failed event waits in ``retry-<service>-…``
for 1, 5, 30 s (``EVENT_RETRY_DELAYS``), then goes back to its own handler's queue; after the last try it is parked in
``dead-<service>`` with the error in its headers, where ``python -m lib.cli <svc> dead-letters`` shows and replays it.
One that failed because the database or another service is away waits for as long as that takes. The copy is confirmed
by the broker before the original is acknowledged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from kombu import Queue
from nameko.events import SERVICE_POOL, get_event_exchange
from nameko.events import EventHandler as NamekoEventHandler
from nameko.exceptions import ConfigurationError, ContainerBeingKilled

from lib import metrics, topology
from lib.broker import Broker
from lib.confirmation import Confirmation, Unroutable
from lib.container import call_context
from lib.errors import Unavailable
from lib.ids import rfc3339, utc_now
from lib.logs import redact
from lib.queue_consumer import QueueConsumer
from lib.refusals import refusal_of

log = logging.getLogger(__name__)

ATTEMPT = "event-attempt"
QUEUE = "event-queue"
ERROR_TYPE, ERROR, FAILED_AT = "event-error-type", "event-error", "event-failed-at"
PERSISTENT = 2
CONFIRM_WITHIN = 5.0
LONGEST_ERROR = 500
#: characters
ROOM_FOR_HEADERS = 8 * 1024


class EventHandler(NamekoEventHandler):
    """``@event_handler("other_svc", "thing.happened")`` on a method that takes the envelope as a dict."""

    queue_consumer = QueueConsumer()
    broker = Broker()

    def setup(self) -> None:
        if self.handler_type is not SERVICE_POOL:
            raise ConfigurationError(f"{self.method_name}: events go to one instance of each service (SERVICE_POOL)")
        service, config = self.container.service_name, self.container.config
        handler = topology.HandlerQueue(service, self.source_service, self.event_type, self.method_name)
        self.queue = Queue(
            handler.name,
            exchange=get_event_exchange(self.source_service, config),
            routing_key=self.event_type,
            durable=True,
            queue_arguments=topology.handler_arguments(service, config),
        )
        self._delays = topology.retry_delays(config)
        self.broker.declare(handler)
        self.queue_consumer.register_provider(self)

    def handle_message(self, body: Any, message: Any) -> None:
        headers = self.unpack_message_headers(message)
        if isinstance(body, Mapping):
            headers.setdefault("correlation_id", body.get("correlation_id"))
        call = call_context(headers, background=True)
        try:
            self.container.spawn_worker(
                self,
                (body,),
                {},
                context_data=call.headers(),
                handle_result=partial(self.handle_result, message),
                call=call,
                repeatable=True,
            )
        except ContainerBeingKilled:
            self.queue_consumer.requeue_message(message)

    def handle_undecodable(self, message: Any, error: Exception) -> None:
        """Park what cannot be read: waiting does not mend it."""
        metrics.REJECTED.labels(self.container.service_name, "undecodable").inc()
        self._move(message, error, park=True)

    def handle_result(self, message: Any, worker_ctx: Any, result: Any = None, exc_info: Any = None) -> tuple[Any, Any]:
        if exc_info is None:
            self.queue_consumer.ack_message(message)
        else:
            self._tell(exc_info)
            self._move(message, exc_info[1], park=False)
        return result, exc_info

    def _tell(self, exc_info: Any) -> None:
        if _is_away(exc_info[1]):
            # What is away for an hour has no news in each of its tracebacks.
            log.warning("event handler %s waits: %s", self.method_name, getattr(refusal_of(exc_info[1]), "message", ""))
        else:
            log.warning("event handler %s failed", self.method_name, exc_info=exc_info)

    def _move(self, message: Any, error: BaseException, *, park: bool) -> None:
        """Put a copy where it belongs now, then settle the original."""
        service = self.container.service_name
        headers = dict(message.headers or {})
        attempt = headers.get(ATTEMPT)
        attempt = max(1, attempt) if isinstance(attempt, int) else 1
        # A database or a service that is away is no fault of the event's: it waits, and does not use up its attempts.
        waits = not park and _is_away(error)
        park = park or (attempt > len(self._delays) and not waits)
        delay = self._delays[len(self._delays) // 2 if waits else min(attempt, len(self._delays)) - 1]
        exchange = topology.dead_queue(service) if park else topology.retry_queue(service, delay)
        headers = _portable(headers) | {
            ATTEMPT: attempt if park or waits else attempt + 1,
            QUEUE: self.queue.name,
            ERROR_TYPE: type(error).__name__,
            ERROR: redact(str(error))[:LONGEST_ERROR],
            FAILED_AT: rfc3339(utc_now()),
        }
        if not self._copy(message, exchange, headers):
            self.queue_consumer.requeue_message(message)
            return
        counter = metrics.EVENTS_PARKED if park else metrics.EVENTS_RETRIED
        counter.labels(service, self.method_name).inc()
        if park:
            log.error("event handler %s: parked after %d attempts", self.method_name, attempt)
        self.queue_consumer.ack_message(message)

    def _copy(self, message: Any, exchange: str, headers: dict[str, Any]) -> bool:
        """Publish the copy and return True once the broker has it; False if the original is not ours any more.

        While the broker takes nothing the event stays in our hands: each requeue would count as a delivery, and after
        a few of them a quorum queue parks it.
        """
        confirmation: Confirmation | None = None
        while True:
            try:
                if confirmation is None:
                    confirmation = self.broker.link.publish_confirmed(
                        exchange=exchange,
                        routing_key=self.queue.name,
                        body=message.body,
                        mandatory=True,
                        properties={
                            "content_type": message.content_type,
                            "content_encoding": message.content_encoding,
                            "delivery_mode": PERSISTENT,
                            "application_headers": headers,
                        },
                    )
                # A broker that takes its time still has it: to send it again would make two of it.
                confirmation.wait(CONFIRM_WITHIN)
            except Unavailable as exc:
                log.warning("event handler %s: the event could not be moved (%s)", self.method_name, exc.code)
                if confirmation is not None and exc is confirmation.error:
                    # Refused, or lost with its connection. Anything else: the answer is to come, or has just come.
                    confirmation = None
                if not self.queue_consumer.keeps(message):
                    return False
                if isinstance(exc, Unroutable):
                    self.broker.declare_again()
                time.sleep(1)
            else:
                return True


def _portable(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers that a copy keeps: the broker's own (``x-…``) are not ours to send, and a stranger's may be
    too deep or too many to be sent at all."""
    kept, room = {}, ROOM_FOR_HEADERS
    for name, value in headers.items():
        if name.startswith("x-") or not isinstance(value, str | int | float | bool):
            continue
        room -= len(name) + len(str(value))
        if room < 0:
            break
        kept[name] = value
    return kept


def _is_away(error: BaseException) -> bool:
    refusal = refusal_of(error)
    return getattr(refusal, "kind", None) == Unavailable.kind


event_handler = EventHandler.decorator

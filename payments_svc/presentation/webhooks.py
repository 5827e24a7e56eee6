"""payments_svc on the broker: messages from providers."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from prometheus_client import Counter

from lib import context, faultpoint, logs
from lib.access import anyone
from lib.caller import Caller
from lib.events import event_handler
from lib.every import every
from lib.rpc import rpc
from payments_svc.application.forget_notices import forget_notices
from payments_svc.application.ports import Ports
from payments_svc.application.process_notice import process_notice
from payments_svc.application.receive_notice import receive_notice
from payments_svc.domain.notice import InvalidNotice, InvalidSignature, NoticeStatus

WEBHOOKS = Counter("payments_webhooks_total", "Messages from providers", ["result"])
GIVEN_UP = Counter(
    "payments_given_up_attempts_total",
    "Messages about money that moved for a charge or a refund that was given up: each is parked for a person",
)

_log = logs.get(__name__)


class WebhookRpc:
    """Part of `PaymentsService`."""

    ports: Ports
    caller: Caller

    @rpc(allow=anyone, idempotent=True, sensitive_arguments=("body", "signature"))
    def receive_webhook(self, provider: str, body: str, signature: str) -> dict[str, Any]:
        """Take a message of a payment provider: prove it and store it. It is processed afterwards.

        :param provider: ``"sandbox"``
        :param body: the raw bytes of the message, in base64
        :param signature: the provider's signature header; empty if there was none
        :returns: ``{"new"}``: false if the same message was there already
        :raises Fault: ``not_found/provider_not_found``; ``malformed/invalid_signature``: missing, wrong, more than five
            minutes old or from the future, and nothing is stored; ``malformed/invalid_notice``: `body` is no base64
        """
        try:
            content = b64decode(body, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise InvalidNotice("the body is not base64") from exc
        correlation_id = context.current().correlation_id
        try:
            receipt = receive_notice(
                self.ports, provider=provider, body=content, signature=signature, correlation_id=correlation_id
            )
        except InvalidSignature:
            WEBHOOKS.labels("refused").inc()
            raise
        WEBHOOKS.labels("received" if receipt.is_new else "repeated").inc()
        _log.info("a webhook came", provider=provider, type=receipt.type, new=receipt.is_new, notice=str(receipt.id))
        return {"new": receipt.is_new}

    @event_handler("payments_svc", "webhook.received")
    def on_webhook_received(self, event: dict[str, Any]) -> None:
        """Look at what a stored message points to. One that cannot be followed now comes again, and is never lost."""
        notice_id = event["data"]["id"]
        faultpoint.reach("webhook.before_process")
        result = process_notice(self.ports, notice_id=notice_id)
        if result is None:
            WEBHOOKS.labels("gone").inc()
            return
        WEBHOOKS.labels(str(result.status)).inc()
        if result.given_up is not None:
            GIVEN_UP.inc()
            payment, attempt = str(result.payment_id), str(result.given_up)
            _log.error(
                "money moved for an attempt that was given up", notice=notice_id, payment=payment, attempt=attempt
            )
        elif result.status is NoticeStatus.PARKED:
            _log.warning("a webhook is parked", notice=notice_id, error=str(result.error))

    @every(seconds=0.25)
    def run_simulation(self) -> None:
        """Do what providers other than our own do in their own house: let time pass, send messages."""
        if self.ports.simulation is not None:
            self.ports.simulation.run()

    @every(seconds=3600)
    def forget_sent_messages(self) -> None:
        """Forget what the sandbox has sent long ago."""
        if self.ports.simulation is not None:
            self.ports.simulation.forget_sent()

    @every(seconds=3600)
    def forget_processed_messages(self) -> None:
        """Forget what providers have told us long ago, and what nobody has asked for."""
        forget_notices(self.ports)

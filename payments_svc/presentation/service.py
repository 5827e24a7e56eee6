"""payments_svc on the broker: RPC methods and event handlers."""

from __future__ import annotations

from typing import Any

from lib import context
from lib.access import owner
from lib.caller import Caller, RpcJwks
from lib.database import Database
from lib.events import event_handler
from lib.operations import Operations
from lib.provide import Provide
from lib.rpc import rpc
from payments_svc.application.close_customer import close_customer
from payments_svc.application.create_payment import create_payment
from payments_svc.application.follow_account import follow_account
from payments_svc.application.get_payment import get_payment
from payments_svc.application.get_refund import get_refund
from payments_svc.application.list_payments import list_payments
from payments_svc.application.list_refunds import list_refunds
from payments_svc.application.open_customer import open_customer
from payments_svc.application.refund_payment import refund_payment
from payments_svc.bootstrap import build_ports
from payments_svc.presentation.schemas import (
    PAYMENT,
    PAYMENT_ANSWER,
    PAYMENT_PAGE,
    REFUND,
    REFUND_ANSWER,
    REFUND_PAGE,
)


class PaymentsService:
    """Payments and refunds. All amounts are whole numbers of the currency's minor unit: 1050 is 10.50 EUR."""

    name = "payments_svc"
    ports = Provide(build_ports, database=Database())
    caller = Caller(jwks=RpcJwks("auth_svc", "get_jwks"))
    operations = Operations()

    @rpc(allow=owner("user_id"), idempotent="idempotency_key")
    def create_payment(
        self,
        user_id: str,
        amount: int,
        currency: str,
        idempotency_key: str,
        *,
        payment_method: str | None = None,
        description: str | None = None,
        metadata: dict[str, str] | None = None,
        reference: str | None = None,
    ) -> dict[str, Any]:
        """Open a payment and, given a payment method, charge it at once.

        :param user_id: the account that pays, a UUID
        :param amount: minor units (1050 is 10.50 EUR, 1050 JPY, 1.050 KWD), 1 to 10^12
        :param currency: ISO 4217 code: ``"EUR"``
        :param idempotency_key: 1 to 255 visible ASCII characters. The same key with the same arguments gives the
            same payment and charges once, for as long as the payment exists
        :param payment_method: the provider's token, as ``"tok_visa"`` of the sandbox; never a card number
        :param description: for people, up to 500 characters
        :param metadata: up to 50 keys of up to 40 characters, with texts of up to 500
        :param reference: your own key for what is paid, up to 200 characters; one payment of a user has it that is
            not canceled
        :returns: ``{"payment": {"id", "status", "amount", "currency", "amount_captured", "amount_refunded",
            "payment_method", "decline_code", "description", "metadata", "reference", "provider", "next_check_at",
            "created_at", "updated_at"}, "replayed"}``. Status ``requires_payment_method`` without a payment method,
            ``succeeded``, or ``unknown``: it may have been charged, and is asked about at ``next_check_at``
        :raises Fault: ``declined/payment_declined`` with ``decline_code``, ``payment_id`` and ``replayed``;
            ``invalid/idempotency_key_reused`` for other arguments; ``conflict/idempotency_in_progress`` with
            ``retry_after`` in seconds; ``conflict/reference_taken``; ``forbidden/account_disabled`` for a payment that
            was not answered before its account was disabled; ``unavailable/provider_unreachable`` and
            ``unavailable/provider_error``: nothing was charged, try again with the same key;
            ``malformed/invalid_idempotency_key``; ``invalid/…``: ``invalid_amount``, ``unsupported_currency``,
            ``unknown_payment_method``, ``unsupported_payment_method``, ``invalid_text``, ``invalid_metadata``,
            ``card_number_refused``, ``invalid_user_id``
        """
        answer = create_payment(
            self.ports,
            user_id=user_id,
            amount=amount,
            currency=currency,
            idempotency_key=idempotency_key,
            payment_method=payment_method,
            description=description,
            metadata=metadata,
            reference=reference,
            redelivered=_redelivered(),
        )
        return dict(PAYMENT_ANSWER.dump(answer))

    @rpc(allow=owner("user_id"), idempotent=True)
    def get_payment(self, user_id: str, payment_id: str) -> dict[str, Any]:
        """Return one payment of a user.

        :param user_id: whose payment, a UUID
        :param payment_id: a UUID
        :returns: the payment, as in `create_payment`; amounts in minor units
        :raises Fault: ``not_found/payment_not_found``, also for a payment of somebody else
        """
        return dict(PAYMENT.dump(get_payment(self.ports, user_id=user_id, payment_id=payment_id)))

    @rpc(allow=owner("user_id"), idempotent=True)
    def list_payments(self, user_id: str, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:
        """Return a user's payments, newest first.

        :param user_id: whose payments, a UUID
        :param limit: at most that many, 1 to 100
        :param cursor: the ``next_cursor`` of the page before
        :returns: ``{"data": [payment, …], "next_cursor"}``; next_cursor is null on the last page
        :raises Fault: ``malformed/invalid_cursor``, ``invalid/invalid_limit``
        """
        page = list_payments(self.ports, user_id=user_id, limit=limit, cursor=cursor)
        return dict(PAYMENT_PAGE.dump(page))

    @rpc(allow=owner("user_id"), idempotent="idempotency_key")
    def refund_payment(
        self,
        user_id: str,
        payment_id: str,
        idempotency_key: str,
        amount: int | None = None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """Give back what was captured, or a part of it.

        :param user_id: who asks, a UUID: the customer, or with the role ``finance`` or ``admin`` anybody
        :param payment_id: a UUID
        :param idempotency_key: as in `create_payment`, for each payment on its own
        :param amount: minor units of the payment's currency; all that is left if it is not given
        :param reason: for people, up to 500 characters
        :returns: ``{"refund": {"id", "payment_id", "amount", "currency", "status", "reason", "failure_code",
            "next_check_at", "created_at"}, "replayed"}``. Status ``succeeded``, ``failed`` (the provider refused:
            ``failure_code``), or ``unknown``: it may have happened, and counts as refunded until that is known
        :raises Fault: ``forbidden/refund_not_allowed`` unless PAYMENTS_SELF_SERVICE is on or the role is there;
            ``forbidden/account_disabled`` for a customer whose account is disabled, but not for the roles;
            ``not_found/payment_not_found``; ``conflict/payment_not_refundable``; ``invalid/refund_exceeds_captured``
            with ``refundable`` in minor units; those of the key and of the provider as in `create_payment`
        """
        staff = context.current().actor.has_role("finance", "admin")
        answer = refund_payment(
            self.ports,
            user_id=user_id,
            payment_id=payment_id,
            idempotency_key=idempotency_key,
            may_refund=self.ports.rules.self_service or staff,
            may_refund_for_others=staff,
            amount=amount,
            reason=reason,
            redelivered=_redelivered(),
        )
        return dict(REFUND_ANSWER.dump(answer))

    @rpc(allow=owner("user_id"), idempotent=True)
    def list_refunds(self, user_id: str, payment_id: str, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:
        """Return the refunds of a user's payment, newest first.

        :param user_id: whose payment, a UUID
        :param payment_id: a UUID
        :param limit: at most that many, 1 to 100
        :param cursor: the ``next_cursor`` of the page before
        :returns: ``{"data": [refund, …], "next_cursor"}``; refunds as in `refund_payment`
        :raises Fault: ``not_found/payment_not_found``, ``malformed/invalid_cursor``, ``invalid/invalid_limit``
        """
        page = list_refunds(self.ports, user_id=user_id, payment_id=payment_id, limit=limit, cursor=cursor)
        return dict(REFUND_PAGE.dump(page))

    @rpc(allow=owner("user_id"), idempotent=True)
    def get_refund(self, user_id: str, refund_id: str) -> dict[str, Any]:
        """Return one refund of a user's payments.

        :param user_id: whose refund, a UUID
        :param refund_id: a UUID
        :returns: the refund, as in `refund_payment`; the amount in minor units
        :raises Fault: ``not_found/refund_not_found``, also for a refund of somebody else
        """
        return dict(REFUND.dump(get_refund(self.ports, user_id=user_id, refund_id=refund_id)))

    @event_handler("auth_svc", "user.registered")
    def on_user_registered(self, event: dict[str, Any]) -> None:
        """Make a customer of a new account."""
        open_customer(self.ports, event_id=event["id"], user_id=event["data"]["id"])

    @event_handler("auth_svc", "user.disabled")
    def on_user_disabled(self, event: dict[str, Any]) -> None:
        """Let an account that may not be used pay nothing and refund nothing; the staff still refunds its payments."""
        self._follow(event, disabled=True)

    @event_handler("auth_svc", "user.enabled")
    def on_user_enabled(self, event: dict[str, Any]) -> None:
        """Let an account pay again."""
        self._follow(event, disabled=False)

    def _follow(self, event: dict[str, Any], *, disabled: bool) -> None:
        user_id, sequence = event["data"]["id"], event["sequence"]
        follow_account(self.ports, event_id=event["id"], user_id=user_id, sequence=sequence, disabled=disabled)

    @event_handler("auth_svc", "user.deleted")
    def on_user_deleted(self, event: dict[str, Any]) -> None:
        """Remove the customer of a deleted account; one with payments stays, closed, with them."""
        close_customer(self.ports, event_id=event["id"], user_id=event["data"]["id"])


def _redelivered() -> bool:
    """Tell whether the broker gives this call again because the worker that had it is lost."""
    return context.current().redelivered

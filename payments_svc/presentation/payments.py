"""payments_svc on the broker: payments."""

from __future__ import annotations

from typing import Any

from lib import context
from lib.access import owner
from lib.caller import Caller
from lib.rpc import rpc
from payments_svc.application.cancel_payment import cancel_payment
from payments_svc.application.capture_payment import capture_payment
from payments_svc.application.confirm_payment import confirm_payment
from payments_svc.application.create_payment import create_payment
from payments_svc.application.get_payment import get_payment
from payments_svc.application.list_payments import list_payments
from payments_svc.application.ports import Ports
from payments_svc.presentation.schemas import PAYMENT, PAYMENT_ANSWER, PAYMENT_PAGE

STAFF = ("finance", "admin")


class PaymentRpc:
    """Part of `PaymentsService`."""

    ports: Ports
    caller: Caller

    @rpc(allow=owner("user_id"), idempotent="idempotency_key")
    def create_payment(
        self,
        user_id: str,
        amount: int,
        currency: str,
        idempotency_key: str,
        *,
        payment_method: str | None = None,
        capture_method: str = "automatic",
        confirm: bool | None = None,
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
        :param payment_method: the provider's token, as ``"tok_visa"`` of the sandbox, or the id of a kept payment
            method; never a card number
        :param capture_method: ``"automatic"``, or ``"manual"``: the amount is only set aside, until `capture_payment`
        :param confirm: charge it now. By default if there is a payment method; true without one takes the user's
            default payment method
        :param description: for people, up to 500 characters
        :param metadata: up to 50 keys of up to 40 characters, with texts of up to 500
        :param reference: your own key for what is paid, up to 200 characters; one payment of a user has it that is
            not canceled
        :returns: ``{"payment": {"id", "status", "amount", "currency", "capture_method", "amount_capturable",
            "amount_captured", "amount_refunded", "payment_method", "decline_code", "next_action", "capture_before",
            "cancellation_reason", "description", "metadata", "reference", "provider", "pending_operation",
            "next_check_at", "created_at", "updated_at"}, "replayed"}``. ``payment_method`` is the id of a kept one,
            also of the default, else the token that was given. Status ``requires_payment_method`` or
            ``requires_confirmation`` if nothing was charged; ``succeeded``; ``requires_capture`` (until
            ``capture_before``); ``requires_action``: the customer has to act as ``next_action`` says, then
            `confirm_payment`; ``processing``: the provider will tell; or ``unknown``: it may have been charged, and is
            asked about at ``next_check_at``. ``pending_operation`` is what is under way at the provider, or null:
            ``{"type": "charge"|"authenticate"|"capture"|"cancel", "amount", "status": "pending"|"accepted"|"unknown",
            "next_check_at"}``
        :raises Fault: ``declined/payment_declined`` with ``decline_code``, ``payment_id`` and ``replayed``;
            ``invalid/idempotency_key_reused`` for other arguments; ``conflict/idempotency_in_progress`` with
            ``retry_after`` in seconds; ``conflict/reference_taken``; ``forbidden/account_disabled`` for a payment that
            was not answered before its account was disabled; ``unavailable/provider_unreachable``,
            ``unavailable/provider_error`` and ``unavailable/provider_busy`` with ``retry_after``: nothing was charged,
            try again with the same key; ``malformed/invalid_idempotency_key``; ``invalid/…``: ``invalid_amount``,
            ``unsupported_currency``, ``unknown_payment_method``, ``unsupported_payment_method``,
            ``payment_method_required``, ``invalid_capture_method``, ``invalid_text``, ``invalid_metadata``,
            ``card_number_refused``, ``invalid_user_id``
        """
        answer = create_payment(
            self.ports,
            user_id=user_id,
            amount=amount,
            currency=currency,
            idempotency_key=idempotency_key,
            payment_method=payment_method,
            capture_method=capture_method,
            confirm=confirm,
            description=description,
            metadata=metadata,
            reference=reference,
            redelivered=context.current().redelivered,
        )
        return dict(PAYMENT_ANSWER.dump(answer))

    @rpc(allow=owner("user_id"), idempotent="idempotency_key")
    def confirm_payment(
        self,
        user_id: str,
        payment_id: str,
        idempotency_key: str,
        payment_method: str | None = None,
        authentication: str | None = None,
    ) -> dict[str, Any]:
        """Charge a payment that waits for it, or go on with a charge after the customer has acted.

        :param user_id: the account that pays, a UUID
        :param payment_id: a UUID
        :param idempotency_key: as in `create_payment`, for each payment on its own
        :param payment_method: as in `create_payment`; if it is not given, the payment's own unless that was declined,
            else the user's default. It has to be given if the payment's own was a kept one and is forgotten
        :param authentication: for a payment that is ``requires_action``, where the client knows what the customer did:
            ``"succeed"`` or ``"fail"``
        :returns: ``{"payment", "replayed"}`` as in `create_payment`
        :raises Fault: ``not_found/payment_not_found``; ``conflict/payment_not_confirmable`` in another status;
            ``conflict/operation_in_progress`` with ``retry_after`` while something else is under way or unknown at the
            provider; ``invalid/payment_method_required``, ``invalid/invalid_authentication``; those of the payment
            method, the key, the account and the provider as in `create_payment`; ``declined/payment_declined``
        """
        answer = confirm_payment(
            self.ports,
            user_id=user_id,
            payment_id=payment_id,
            idempotency_key=idempotency_key,
            payment_method=payment_method,
            authentication=authentication,
            redelivered=context.current().redelivered,
        )
        return dict(PAYMENT_ANSWER.dump(answer))

    @rpc(allow=owner("user_id"), idempotent="idempotency_key")
    def capture_payment(
        self, user_id: str, payment_id: str, idempotency_key: str, amount: int | None = None
    ) -> dict[str, Any]:
        """Take what was set aside, or a part of it; the rest is let go.

        :param user_id: who asks, a UUID: the customer, or with the role ``finance`` or ``admin`` anybody
        :param payment_id: a UUID
        :param idempotency_key: as in `create_payment`, for each payment on its own
        :param amount: minor units of the payment's currency; all that is set aside if it is not given
        :returns: ``{"payment", "replayed"}`` as in `create_payment`. Status ``succeeded``; or still
            ``requires_capture`` with a ``pending_operation`` whose outcome is not known
        :raises Fault: ``forbidden/capture_not_allowed`` unless PAYMENTS_SELF_SERVICE is on or the role is there;
            ``forbidden/account_disabled`` for a customer whose account is disabled, but not for the roles;
            ``not_found/payment_not_found``; ``conflict/payment_not_capturable``; ``conflict/capture_refused`` by the
            provider, with ``decline_code``; ``conflict/operation_in_progress`` as in `confirm_payment`;
            ``invalid/capture_exceeds_authorized`` with ``capturable`` in minor units, ``invalid/invalid_amount``; those
            of the key and of the provider as in `create_payment`
        """
        staff = context.current().actor.has_role(*STAFF)
        answer = capture_payment(
            self.ports,
            user_id=user_id,
            payment_id=payment_id,
            idempotency_key=idempotency_key,
            may_capture=self.ports.rules.self_service or staff,
            may_act_for_others=staff,
            amount=amount,
            redelivered=context.current().redelivered,
        )
        return dict(PAYMENT_ANSWER.dump(answer))

    @rpc(allow=owner("user_id"), idempotent="idempotency_key")
    def cancel_payment(
        self, user_id: str, payment_id: str, idempotency_key: str, reason: str | None = None
    ) -> dict[str, Any]:
        """Let go of a payment before anything is taken.

        :param user_id: who asks, a UUID: the customer, or with the role ``finance`` or ``admin`` anybody
        :param payment_id: a UUID
        :param idempotency_key: as in `create_payment`, for each payment on its own
        :param reason: ``"requested_by_customer"`` (the default), ``"duplicate"``, ``"fraudulent"``, ``"abandoned"``
        :returns: ``{"payment", "replayed"}`` as in `create_payment`. Status ``canceled``; or the one before with a
            ``pending_operation`` whose outcome is not known
        :raises Fault: ``not_found/payment_not_found``; ``conflict/payment_not_cancelable``, also for one that is
            canceled; ``conflict/cancel_refused`` by the provider, with ``decline_code``;
            ``conflict/operation_in_progress`` as in `confirm_payment`; ``invalid/invalid_cancellation_reason``;
            ``forbidden/account_disabled`` as in `capture_payment`; those of the key and of the provider as in
            `create_payment`
        """
        answer = cancel_payment(
            self.ports,
            user_id=user_id,
            payment_id=payment_id,
            idempotency_key=idempotency_key,
            reason=reason,
            may_act_for_others=context.current().actor.has_role(*STAFF),
            redelivered=context.current().redelivered,
        )
        return dict(PAYMENT_ANSWER.dump(answer))

    @rpc(allow=owner("user_id"), idempotent=True)
    def get_payment(self, user_id: str, payment_id: str) -> dict[str, Any]:
        """Return one payment of a user. If its ``next_check_at`` is past, the provider is asked first.

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

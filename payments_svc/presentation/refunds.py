"""payments_svc on the broker: refunds."""

from __future__ import annotations

from typing import Any

from lib import context
from lib.access import owner
from lib.caller import Caller
from lib.rpc import rpc
from payments_svc.application.get_refund import get_refund
from payments_svc.application.list_refunds import list_refunds
from payments_svc.application.ports import Ports
from payments_svc.application.refund_payment import refund_payment
from payments_svc.presentation.schemas import REFUND, REFUND_ANSWER, REFUND_PAGE


class RefundRpc:
    """Part of `PaymentsService`."""

    ports: Ports
    caller: Caller

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
            "next_check_at", "created_at"}, "replayed"}``. Status ``succeeded``; ``failed`` (the provider refused:
            ``failure_code``); ``pending``: the provider will tell; or ``unknown``: it may have happened. The last two
            count as refunded until more is known. A refund that has succeeded may fail later: its amount can be
            refunded again then
        :raises Fault: ``forbidden/refund_not_allowed`` unless PAYMENTS_SELF_SERVICE is on or the role is there;
            ``forbidden/account_disabled`` for a customer whose account is disabled, but not for the roles;
            ``not_found/payment_not_found``; ``conflict/payment_not_refundable``; ``conflict/operation_in_progress`` as
            in `confirm_payment`; ``invalid/refund_exceeds_captured`` with ``refundable`` in minor units,
            ``invalid/invalid_amount``, ``invalid/invalid_text``, ``invalid/card_number_refused``; those of the key and
            of the provider as in `create_payment`
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
            redelivered=context.current().redelivered,
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
        """Return one refund of a user's payments. If its ``next_check_at`` is past, the provider is asked first.

        :param user_id: whose refund, a UUID
        :param refund_id: a UUID
        :returns: the refund, as in `refund_payment`; the amount in minor units
        :raises Fault: ``not_found/refund_not_found``, also for a refund of somebody else
        """
        return dict(REFUND.dump(get_refund(self.ports, user_id=user_id, refund_id=refund_id)))

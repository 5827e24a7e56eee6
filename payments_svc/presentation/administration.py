"""payments_svc on the broker: what the staff may see and do."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from lib import context
from lib.access import roles
from lib.caller import Caller
from lib.rpc import rpc
from payments_svc.application.check_now import check_now
from payments_svc.application.find_payments import find_payments
from payments_svc.application.history_ports import ActorKind, By
from payments_svc.application.inspect_payment import inspect_payment, list_payment_trail
from payments_svc.application.ports import Ports
from payments_svc.domain.details import MAX_TEXT, checked_note
from payments_svc.presentation.history_schemas import FOUND_PAYMENTS, INSPECTED_PAYMENT, TRAIL_PAGE

STAFF = ("finance", "admin")


class AdministrationRpc:
    """Part of `PaymentsService`."""

    ports: Ports
    caller: Caller

    @rpc(allow=roles(*STAFF), idempotent=True)
    def find_payments(
        self,
        customer_id: str | None = None,
        status: str | None = None,
        reference: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Look for payments of anybody, newest first.

        :param customer_id: whose, a UUID
        :param status: in which status
        :param reference: the customer's own key; only with `customer_id`
        :param since: made at this RFC 3339 time or date (UTC) or later
        :param until: made before
        :param limit: at most that many, 1 to 100
        :param cursor: the ``next_cursor`` of the page before, with the same filter
        :returns: ``{"data": [payment with "customer_id", …], "next_cursor"}``; payments as in `create_payment`
        :raises Fault: ``malformed/invalid_cursor``; ``invalid/…``: ``invalid_limit``, ``invalid_filter``,
            ``invalid_period``, ``invalid_user_id``, ``invalid_text``
        """
        page = find_payments(
            self.ports,
            customer_id=customer_id,
            status=status,
            reference=reference,
            since=since,
            until=until,
            limit=limit,
            cursor=cursor,
        )
        return dict(FOUND_PAYMENTS.dump(page))

    @rpc(allow=roles(*STAFF), idempotent=True)
    def inspect_payment(self, payment_id: str, reason: str | None = None) -> dict[str, Any]:
        """Show a payment of anybody with its newest 100 refunds. The look is in the payment's audit trail.

        :param payment_id: a UUID
        :param reason: why you look, 1 to 500 characters
        :returns: the payment as in `create_payment`, with ``customer_id`` and ``refunds``
        :raises Fault: ``not_found/payment_not_found``; ``invalid/invalid_text``, ``invalid/card_number_refused``
        """
        return dict(INSPECTED_PAYMENT.dump(inspect_payment(self.ports, payment_id=payment_id, by=_staff(reason))))

    @rpc(allow=roles(*STAFF), idempotent=True)
    def list_payment_trail(self, payment_id: str, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:
        """Show all that happened to a payment, newest first: who did it, why, and what became of it.

        :param payment_id: a UUID
        :param limit: at most that many, 1 to 100
        :param cursor: the ``next_cursor`` of the page before
        :returns: ``{"data": [{"id", "action", "actor": {"kind": "customer" | "staff" | "system" | "provider", "id"},
            "reason", "before", "after", "amount" in minor units, "code", "refund_id", "request_id", "occurred_at"}],
            "next_cursor"}``
        :raises Fault: ``not_found/payment_not_found``; ``malformed/invalid_cursor``; ``invalid/invalid_limit``
        """
        return dict(TRAIL_PAGE.dump(list_payment_trail(self.ports, payment_id=payment_id, limit=limit, cursor=cursor)))

    @rpc(allow=roles(*STAFF), idempotent=True)
    def check_payment_now(self, payment_id: str, reason: str) -> dict[str, Any]:
        """Ask the provider at once what became of a payment and of its refunds, instead of at ``next_check_at``.

        :param payment_id: a UUID
        :param reason: why, 1 to 500 characters, for the audit trail
        :returns: as `inspect_payment`, after the provider has answered
        :raises Fault: ``not_found/payment_not_found``; ``invalid/invalid_text``, ``invalid/card_number_refused``
        """
        return dict(INSPECTED_PAYMENT.dump(check_now(self.ports, payment_id=payment_id, by=_staff(reason))))


def _staff(reason: str | None) -> By:
    """Return who calls, for the trail; a call by a command or another service has no id."""
    actor = context.current().actor
    kept = None if reason is None else checked_note(reason, "/reason", longest=MAX_TEXT)
    return By(ActorKind.STAFF, None if actor.id is None else UUID(actor.id), kept)

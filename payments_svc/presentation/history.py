"""payments_svc on the broker: what customers see of their past."""

from __future__ import annotations

from typing import Any

from lib.access import owner
from lib.caller import Caller
from lib.rpc import rpc
from payments_svc.application.list_transactions import MAX_EXPORTED, list_transactions
from payments_svc.application.ports import Ports
from payments_svc.presentation.history_schemas import TRANSACTION_PAGE


class HistoryRpc:
    """Part of `PaymentsService`."""

    ports: Ports
    caller: Caller

    @rpc(allow=owner("user_id"), idempotent=True)
    def list_transactions(
        self,
        user_id: str,
        since: str | None = None,
        until: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Show what a user has paid and got back, newest first.

        :param user_id: whose money, a UUID
        :param since: an RFC 3339 time or a date (UTC): from then on
        :param until: likewise: before then
        :param limit: at most that many, 1 to 100
        :param cursor: the ``next_cursor`` of the page before, with the same period
        :returns: ``{"data": [{"id", "type", "amount", "amount_decimal", "currency", "payment_id", "refund_id",
            "description", "reference", "created_at"}], "next_cursor"}``. Type ``payment``, ``refund``, or
            ``refund_failure``: it did not arrive. Amounts in minor units, positive for what was paid and negative for
            what went back; ``amount_decimal`` is the same as a decimal, ``"-5.00"``
        :raises Fault: ``malformed/invalid_cursor``; ``invalid/invalid_limit``, ``invalid/invalid_period``
        """
        return self._transactions(user_id, since, until, limit, cursor)

    @rpc(allow=owner("user_id"), idempotent=True)
    def export_transactions(
        self, user_id: str, since: str | None = None, until: str | None = None, cursor: str | None = None
    ) -> dict[str, Any]:
        """Return the next 500 transactions of an export: as `list_transactions`, in larger pages.

        :raises Fault: ``malformed/invalid_cursor``; ``invalid/invalid_period``
        """
        return self._transactions(user_id, since, until, MAX_EXPORTED, cursor, most=MAX_EXPORTED)

    def _transactions(
        self, user_id: str, since: str | None, until: str | None, limit: int, cursor: str | None, **most: int
    ) -> dict[str, Any]:
        page = list_transactions(
            self.ports, user_id=user_id, since=since, until=until, limit=limit, cursor=cursor, **most
        )
        return dict(TRANSACTION_PAGE.dump(page))

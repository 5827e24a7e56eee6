"""payments_svc on the broker: the books."""

from __future__ import annotations

from typing import Any

from lib.access import roles
from lib.caller import Caller
from lib.every import every
from lib.rpc import rpc
from payments_svc.application.get_balances import get_balances
from payments_svc.application.get_trial_balance import get_trial_balance
from payments_svc.application.list_ledger_entries import list_ledger_entries
from payments_svc.application.ports import Ports
from payments_svc.application.seal_ledger import seal_ledger
from payments_svc.application.verify_ledger_step import verify_ledger_step
from payments_svc.presentation.ledger_schemas import BALANCES, LEDGER_ENTRY_PAGE, TRIAL_BALANCE

STAFF = ("finance", "admin")


class LedgerRpc:
    """Part of `PaymentsService`. All amounts are whole numbers of the currency's minor unit."""

    ports: Ports
    caller: Caller

    @rpc(allow=roles(*STAFF), idempotent=True)
    def get_balances(self, at: str | None = None) -> dict[str, Any]:
        """Return what stands on each account of the books.

        :param at: as it was at this RFC 3339 time or date (UTC); now, if it is not given. Exact for moments longer ago
            than the longest transaction takes (seconds): an entry has its time before it is committed
        :returns: ``{"as_of", "data": [{"account", "currency", "balance", "debits", "credits"}]}``, amounts in minor
            units; ``balance`` is debits minus credits: positive for what is owed to us
        :raises Fault: ``invalid/invalid_period``: that is no time, or it has not come yet
        """
        return dict(BALANCES.dump(get_balances(self.ports, at=at)))

    @rpc(allow=roles(*STAFF), idempotent=True)
    def get_trial_balance(self, at: str | None = None) -> dict[str, Any]:
        """Return whether the books add up: the sums of debits and of credits in each currency.

        :param at: as in `get_balances`
        :returns: ``{"as_of", "balanced", "data": [{"currency", "debits", "credits", "difference"}]}``, amounts in
            minor units; a ``difference`` that is not 0 is an alarm
        :raises Fault: ``invalid/invalid_period``
        """
        return dict(TRIAL_BALANCE.dump(get_trial_balance(self.ports, at=at)))

    @rpc(allow=roles(*STAFF), idempotent=True)
    def list_ledger_entries(
        self,
        account: str | None = None,
        currency: str | None = None,
        payment_id: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Return entries of the books, newest first.

        :param account: like ``sales`` or ``provider:sandbox``, together with `currency`
        :param currency: ISO 4217 code, together with `account`
        :param payment_id: only what moved for this payment and its refunds, a UUID
        :param limit: at most that many, 1 to 100
        :param cursor: the ``next_cursor`` of the page before, with the same filter
        :returns: ``{"data": [{"id", "transaction_id", "kind", "source_id", "account", "amount", "currency",
            "customer_id", "payment_id", "refund_id", "request_id", "posted_at"}], "next_cursor"}``; ``amount`` in minor
            units, debits positive and credits negative; entries of one ``transaction_id`` add up to 0
        :raises Fault: ``malformed/invalid_cursor``; ``invalid/…``: ``invalid_limit``, ``invalid_filter``,
            ``invalid_text``, ``unsupported_currency``
        """
        page = list_ledger_entries(
            self.ports, account=account, currency=currency, payment_id=payment_id, limit=limit, cursor=cursor
        )
        return dict(LEDGER_ENTRY_PAGE.dump(page))

    @rpc(allow=roles(*STAFF), idempotent=True)
    def verify_ledger_step(self, expected: str | None = None, cursor: str | None = None) -> dict[str, Any]:
        """Check for a second or so whether the books are as they were written, from where the step before has ended.

        ``python -m lib.cli payments_svc verify-ledger`` does all of it at once.

        :param expected: a head like ``42:9f86d0…`` that was written down before, the same in all steps; without it
            nobody sees that the newest entries are gone
        :param cursor: the ``next_cursor`` of the step before
        :returns: ``{"status": "unfinished" | "intact" | "broken", "checked", "broken", "next_cursor"}``: ``checked``
            is the last seal that is right, ``broken`` one line about the first thing that is not
        :raises Fault: ``malformed/invalid_cursor``; ``invalid/invalid_head``
        """
        return verify_ledger_step(self.ports, expected=expected, cursor=cursor)

    @every(seconds=0.5)
    def seal_ledger(self) -> None:
        """Seal what was posted, and bring the metrics of the books up to date."""
        seal_ledger(self.ports)

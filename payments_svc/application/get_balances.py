"""The staff looks what stands on each account."""

from __future__ import annotations

from payments_svc.application.as_of import moment_asked_for
from payments_svc.application.ledger_ports import Row
from payments_svc.application.ports import Ports


def get_balances(ports: Ports, *, at: str | None = None) -> Row:
    """Return the balances of all accounts, in each of their currencies, as they were at a moment.

    A balance is debits minus credits: what is owed to us is positive, income and what we owe are negative.

    :param at: an RFC 3339 time or a date (UTC) that has been; now, if it is not given
    """
    moment = moment_asked_for(ports, at)
    rows = ports.ledger.balances(moment)
    return {"as_of": moment, "data": [{**row, "balance": row["debits"] - row["credits"]} for row in rows]}

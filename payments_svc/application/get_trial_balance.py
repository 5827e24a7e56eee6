"""The staff looks whether the books add up."""

from __future__ import annotations

from payments_svc.application.as_of import moment_asked_for
from payments_svc.application.ledger_ports import Row
from payments_svc.application.ports import Ports


def get_trial_balance(ports: Ports, *, at: str | None = None) -> Row:
    """Return the sums of all debits and of all credits in each currency, as they were at a moment.

    :param at: an RFC 3339 time or a date (UTC) that has been; now, if it is not given
    """
    moment = moment_asked_for(ports, at)
    sums: dict[str, Row] = {}
    for row in ports.ledger.balances(moment):
        line = sums.setdefault(row["currency"], {"currency": row["currency"], "debits": 0, "credits": 0})
        line["debits"] += row["debits"]
        line["credits"] += row["credits"]
    data = [{**line, "difference": line["debits"] - line["credits"]} for _, line in sorted(sums.items())]
    return {"as_of": moment, "balanced": all(line["difference"] == 0 for line in data), "data": data}

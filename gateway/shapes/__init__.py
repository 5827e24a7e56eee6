"""What answers look like, for the OpenAPI document only: the services make them.

Answers may get more members; none is taken away.
"""

from __future__ import annotations

from typing import Any

from gateway.shapes import (
    accounts,
    admin_ledger,
    admin_payments,
    connections,
    notifications,
    payment_methods,
    payments,
    preferences,
    problems,
    search,
    streams,
    transactions,
    users,
)
from gateway.shapes.accounts import ROLES, STATUSES
from gateway.shapes.parts import SESSION_ID, USER_ID, Schema, ref
from gateway.shapes.payments import PAYMENT_ID, REFUND_ID

__all__ = [
    "COMPONENTS",
    "EXAMPLES",
    "PAYMENT_ID",
    "REFUND_ID",
    "ROLES",
    "SESSION_ID",
    "STATUSES",
    "USER_ID",
    "Schema",
    "ref",
]

COMPONENTS: dict[str, Schema] = {
    **problems.COMPONENTS,
    **accounts.COMPONENTS,
    **users.COMPONENTS,
    **payments.COMPONENTS,
    **payment_methods.COMPONENTS,
    **transactions.COMPONENTS,
    **admin_ledger.COMPONENTS,
    **admin_payments.COMPONENTS,
    **notifications.COMPONENTS,
    **connections.COMPONENTS,
    **preferences.COMPONENTS,
    **streams.COMPONENTS,
    **search.COMPONENTS,
}

EXAMPLES: dict[str, Any] = {
    **accounts.EXAMPLES,
    **users.EXAMPLES,
    **payments.EXAMPLES,
    **payment_methods.EXAMPLES,
    **transactions.EXAMPLES,
    **admin_ledger.EXAMPLES,
    **admin_payments.EXAMPLES,
    **notifications.EXAMPLES,
    **connections.EXAMPLES,
    **preferences.EXAMPLES,
    **streams.EXAMPLES,
    **search.EXAMPLES,
}

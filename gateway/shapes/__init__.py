"""What answers look like, for the OpenAPI document only: the services make them.

Answers may get more members; none is taken away.
"""

from __future__ import annotations

from typing import Any

from gateway.shapes import accounts, connections, notifications, payments, preferences, problems, search, streams, users
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
    **notifications.EXAMPLES,
    **connections.EXAMPLES,
    **preferences.EXAMPLES,
    **streams.EXAMPLES,
    **search.EXAMPLES,
}

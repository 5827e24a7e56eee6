"""Customers: the accounts that may pay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(eq=False)
class Customer:
    """An account as payments see it. Its name and e-mail are not copied here: no payment needs them.

    :param id: the account's id, the same in every service
    """

    id: UUID
    created_at: datetime

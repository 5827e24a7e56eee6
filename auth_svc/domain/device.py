"""Devices that owners have signed in with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from auth_svc.domain.account import Account


@dataclass(frozen=True)
class Device:
    """What a device token says.

    :param account_id: whose owner signed in with it
    :param password_set_at: … while the password was the one that was set then
    """

    id: UUID
    account_id: UUID
    password_set_at: datetime | None

    def is_known_to(self, account: Account) -> bool:
        """Tell whether the account's owner has signed in with it since the password was set."""
        return (self.account_id, self.password_set_at) == (account.id, account.password_set_at)

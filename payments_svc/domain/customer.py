"""Customers: the accounts that may pay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from lib.errors import Forbidden


class AccountDisabled(Forbidden):
    """Also for a deleted account, whose last access tokens have not ended yet."""

    code = "account_disabled"

    def __init__(self) -> None:
        super().__init__("this account cannot be used")


class CustomerStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"


@dataclass(eq=False)
class Customer:
    """An account as payments see it. Its name and e-mail are not copied here: no payment needs them.

    :param id: the account's id, the same in every service
    :param status_sequence: number of the account's event that spoke of the status last, 0 while none did
    """

    id: UUID
    created_at: datetime
    status: CustomerStatus = CustomerStatus.ACTIVE
    status_sequence: int = 0

    def disable(self, *, sequence: int) -> None:
        """The account may not be used any more."""
        self._become(CustomerStatus.DISABLED, sequence)

    def enable(self, *, sequence: int) -> None:
        """The account may be used again."""
        self._become(CustomerStatus.ACTIVE, sequence)

    def _become(self, status: CustomerStatus, sequence: int) -> None:
        # Several relays and retries deliver the events of one account in any order: what is older is dropped.
        if self.status is CustomerStatus.DELETED or sequence <= self.status_sequence:
            return
        self.status, self.status_sequence = status, sequence

    def close(self) -> None:
        """The account is deleted. Nothing comes after that, whatever its number."""
        self.status = CustomerStatus.DELETED

    @property
    def is_active(self) -> bool:
        return self.status is CustomerStatus.ACTIVE

    def check_active(self) -> None:
        """Refuse to do anything in the name of an account that may not be used."""
        if not self.is_active:
            raise AccountDisabled

"""Means of payment that customers keep, in the words of the use cases."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from payments_svc.domain.payment_method import KeptMethods, PaymentMethod


class PaymentMethods(Protocol):
    """The writing side, in a transaction. Whoever writes locks the customer first: changes come one by one."""

    def kept_by(self, customer_id: UUID) -> KeptMethods:
        """Return all that the customer keeps."""

    def add(self, method: PaymentMethod) -> None: ...

    def save(self, kept: KeptMethods, *forgotten: PaymentMethod) -> None:
        """Write down which one is the default, and what was forgotten."""

    def was_kept(self, customer_id: UUID, method_id: UUID) -> bool:
        """Tell whether the customer has ever kept it."""

    def token_of(self, customer_id: UUID, method_id: UUID) -> tuple[str, str] | None:
        """Return the provider and token of a customer's kept means of payment; None if there is none with the id."""

    def default_of(self, customer_id: UUID) -> tuple[str, str] | None:
        """Return the provider and token of a customer's default; None if there is none."""

    def erase(self, customer_id: UUID) -> None:
        """Delete all that the customer has ever kept."""


class PaymentMethodReads(Protocol):
    """Questions that change nothing. None gives a token away."""

    def method(self, customer_id: UUID, method_id: UUID) -> dict[str, Any] | None: ...

    def methods(self, customer_id: UUID, *, limit: int, before: UUID | None) -> list[dict[str, Any]]:
        """Return up to `limit` means of payment, newest first, that are older than `before`."""

"""Means of payment that customers keep, in the words of the use cases."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from payments_svc.domain.payment_method import KeptMethods, Means, PaymentMethod


class PaymentMethods(Protocol):
    """The writing side, in a transaction. Whoever writes locks the customer first: changes come one by one."""

    def kept_by(self, customer_id: UUID) -> KeptMethods:
        """Return all that the customer keeps."""

    def add(self, method: PaymentMethod) -> None: ...

    def save(self, kept: KeptMethods, *forgotten: PaymentMethod) -> None:
        """Write down which one is the default, and what was forgotten."""

    def was_kept(self, customer_id: UUID, method_id: UUID) -> bool:
        """Tell whether the customer has ever kept it."""

    def means_of(self, customer_id: UUID, method_id: UUID) -> Means | None:
        """Return what a customer keeps under the id; None if there is nothing, or nothing any more."""

    def default_of(self, customer_id: UUID) -> Means | None:
        """Return a customer's default; None if there is none."""

    def erase(self, customer_id: UUID) -> None:
        """Delete all that the customer has ever kept."""


class PaymentMethodReads(Protocol):
    """Questions that change nothing. None gives a token away."""

    def method(self, customer_id: UUID, method_id: UUID) -> dict[str, Any] | None: ...

    def methods(self, customer_id: UUID, *, limit: int, before: UUID | None) -> list[dict[str, Any]]:
        """Return up to `limit` means of payment, newest first, that are older than `before`."""

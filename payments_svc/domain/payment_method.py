"""Means of payment that a customer keeps for later."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from lib.errors import Conflict, NotFound
from payments_svc.domain.arguments import BadArgument
from payments_svc.domain.details import MAX_PAYMENT_METHOD, checked_note

MOST_KEPT = 50


class PaymentMethodNotFound(NotFound):
    code = "payment_method_not_found"


class TooManyPaymentMethods(Conflict):
    code = "too_many_payment_methods"


class UnknownProvider(BadArgument):
    code = "unknown_provider"


class Means(NamedTuple):
    """What a charge is made with.

    :param token: by which the provider knows it
    :param method_id: under which the customer keeps it; None if the caller gave the token
    """

    provider: str
    token: str
    method_id: UUID | None = None


@dataclass(eq=False)
class PaymentMethod:
    """One means of payment, under the token by which its provider knows it; never under its number.

    :param provider: whose token it is
    :param token: gone once the customer has the means of payment forgotten
    :param kind: ``card``, ``bank_debit``
    :param last4: all that may be shown of a card's number
    :param detached_at: when it was forgotten
    """

    id: UUID
    customer_id: UUID
    provider: str
    token: str | None
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    created_at: datetime
    is_default: bool = False
    detached_at: datetime | None = None


@dataclass(eq=False)
class KeptMethods:
    """All that one customer keeps: as long as there is any, exactly one is the default.

    :param methods: newest first
    """

    customer_id: UUID
    methods: list[PaymentMethod] = field(default_factory=list)

    def keep(self, method: PaymentMethod) -> PaymentMethod:
        """Add a means of payment, and return it; one with the same token that is there already is returned instead.

        :raises TooManyPaymentMethods: `MOST_KEPT` are there
        """
        for each in self.methods:
            if (each.provider, each.token) == (method.provider, method.token):
                return each
        if len(self.methods) >= MOST_KEPT:
            raise TooManyPaymentMethods(f"at most {MOST_KEPT} means of payment are kept; forget one first")
        method.is_default = not self.methods
        self.methods.insert(0, method)
        return method

    def choose(self, method_id: UUID) -> PaymentMethod:
        """Make one the default, and return it; raises `PaymentMethodNotFound`."""
        chosen = self._get(method_id)
        for each in self.methods:
            each.is_default = each is chosen
        return chosen

    def forget(self, method_id: UUID, now: datetime) -> PaymentMethod:
        """Let go of one, and return it; if it was the default, the newest of the others takes its place.

        A customer who pays without saying how expects this to go on. They see which one it is, and may choose another.

        :raises PaymentMethodNotFound: it is not there
        """
        forgotten = self._get(method_id)
        self.methods.remove(forgotten)
        if forgotten.is_default and self.methods:
            self.methods[0].is_default = True
        forgotten.is_default, forgotten.token, forgotten.detached_at = False, None, now
        return forgotten

    def _get(self, method_id: UUID) -> PaymentMethod:
        for each in self.methods:
            if each.id == method_id:
                return each
        raise PaymentMethodNotFound("there is no such means of payment")


def checked_token(value: object) -> str:
    """Return a provider's token, which is no card number."""
    return checked_note(value, "/token", longest=MAX_PAYMENT_METHOD)

"""Money: a whole number of a currency's smallest unit.

How many decimal places that is, ISO 4217 says, and so does this module, to everybody but the companies that move money:
some of them count a currency in another unit (two places for CLP or ISK, none for HUF), or want the last digit of a
three-place one to be zero. That is for their adapters to convert, at their own border; nothing inward knows of it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from payments_svc.domain.arguments import BadArgument
from payments_svc.domain.currencies import EXPONENTS, SPENDABLE

MAX_AMOUNT = 10**12
"""Largest amount of one payment, in minor units: far below a 64-bit column, far above any bill."""


class InvalidAmount(BadArgument):
    code = "invalid_amount"


class UnsupportedCurrency(BadArgument):
    code = "unsupported_currency"


def checked_amount(amount: object) -> int:
    """Return what can be an amount, in whatever currency."""
    # A bool is an int to Python; a float has lost cents before it came here.
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise InvalidAmount("the amount is a whole number of minor units", "/amount")
    if not 1 <= amount <= MAX_AMOUNT:
        raise InvalidAmount(f"the amount is from 1 to {MAX_AMOUNT} minor units", "/amount")
    return amount


def known_currency(currency: object) -> str:
    """Return the code of a currency that something may have been paid in, at any time, in capitals."""
    return _one_of(EXPONENTS, currency, "the currency is no ISO 4217 code of money")


def _one_of(codes: Container[str], currency: object, refusal: str) -> str:
    # Only ASCII letters have capitals that stay three letters for certain.
    if not isinstance(currency, str) or not currency.isascii() or currency.upper() not in codes:
        raise UnsupportedCurrency(refusal, "/currency")
    return currency.upper()


@dataclass(frozen=True)
class Money:
    """An amount that can be paid: more than nothing, in a currency that is in use.

    :param amount: in minor units: 1050 is 10.50 EUR, 1050 JPY, or 1.050 KWD
    :param currency: ISO 4217 code; kept in capitals
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        checked_amount(self.amount)
        refusal = "the currency is no ISO 4217 code of money that is in use"
        object.__setattr__(self, "currency", _one_of(SPENDABLE, self.currency, refusal))

    def __str__(self) -> str:
        return written(self.amount, self.currency)


def written(amount: int, currency: str) -> str:
    """Return ``10.50 EUR`` for 1050 minor units: for people, never to be calculated with.

    :param currency: may have gone since the amount was paid
    """
    exponent = EXPONENTS[currency]
    whole, part = divmod(amount, 10**exponent)
    return f"{whole}.{part:0{exponent}d} {currency}" if exponent else f"{whole} {currency}"


class UnsplittableError(Exception):
    """A mistake of ours: there is nothing to split, or nobody to split it among."""


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """Return `amount` in parts, in proportion to the weights and in their order, with nothing lost and nothing added.

    By largest remainders: each part is its exact share rounded down, and the units that are left over go to those who
    were rounded down the most, one each; among equals, to those who come first. So no part is a whole unit away from
    its share, and the same question always has the same answer.

    :param amount: in minor units, 0 or more
    :param weights: whole numbers, 0 or more, and not all of them 0: percentages, days, prices
    """
    if any(isinstance(each, bool) or not isinstance(each, int) or each < 0 for each in (amount, *weights)):
        raise UnsplittableError("amounts and weights are whole numbers that are not negative")
    whole = sum(weights)
    if not whole:
        raise UnsplittableError("there has to be a weight that is more than nothing")
    shares = [divmod(amount * weight, whole) for weight in weights]
    parts = [part for part, _ in shares]
    by_remainder = sorted(range(len(parts)), key=lambda index: -shares[index][1])
    for index in by_remainder[: amount - sum(parts)]:
        parts[index] += 1
    return parts

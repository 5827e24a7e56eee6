"""Money: a whole number of a currency's smallest unit."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from iso4217 import Currency, raw_xml

from payments_svc.domain.arguments import BadArgument

MAX_AMOUNT = 10**12
"""Largest amount of one payment, in minor units: far below a 64-bit column, far above any bill."""


class InvalidAmount(BadArgument):
    code = "invalid_amount"


class UnsupportedCurrency(BadArgument):
    code = "unsupported_currency"


def _spendable() -> dict[str, int]:
    """Return the minor unit's exponent of every currency that people pay in.

    ISO 4217 also lists metals and test codes, which have no minor unit, and units of account ("funds").
    """
    names = raw_xml.iterfind("CcyTbl/CcyNtry")
    funds = {entry.findtext("Ccy") for entry in names if entry.find("CcyNm[@IsFund='true']") is not None}
    return {each.code: each.exponent for each in Currency if each.exponent is not None and each.code not in funds}


EXPONENTS = MappingProxyType(_spendable())


@dataclass(frozen=True)
class Money:
    """An amount that can be paid: more than nothing, in a currency that exists.

    :param amount: in minor units: 1050 is 10.50 EUR, 1050 JPY, or 1.050 KWD
    :param currency: ISO 4217 code; kept in capitals
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        # A bool is an int to Python; a float has lost cents before it came here.
        if isinstance(self.amount, bool) or not isinstance(self.amount, int):
            raise InvalidAmount("the amount is a whole number of minor units", "/amount")
        if not 1 <= self.amount <= MAX_AMOUNT:
            raise InvalidAmount(f"the amount is from 1 to {MAX_AMOUNT} minor units", "/amount")
        # Only ASCII letters have capitals that stay three letters for certain.
        known = isinstance(self.currency, str) and self.currency.isascii() and self.currency.upper() in EXPONENTS
        if not known:
            raise UnsupportedCurrency("the currency is no ISO 4217 code of money that is in use", "/currency")
        object.__setattr__(self, "currency", self.currency.upper())

    def __str__(self) -> str:
        return written(self.amount, self.currency)


def written(amount: int, currency: str) -> str:
    """Return ``10.50 EUR`` for 1050 minor units: for people, never to be calculated with."""
    exponent = EXPONENTS[currency]
    whole, part = divmod(amount, 10**exponent)
    return f"{whole}.{part:0{exponent}d} {currency}" if exponent else f"{whole} {currency}"

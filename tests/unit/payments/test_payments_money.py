"""Money is a whole number of minor units of a currency that exists."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_svc.domain.currencies import EXPONENTS, SPENDABLE, WITHDRAWN
from payments_svc.domain.money import (
    MAX_AMOUNT,
    InvalidAmount,
    Money,
    UnsupportedCurrency,
    checked_amount,
    known_currency,
    written,
)

# From ISO 4217, not from the library that the code asks.
KNOWN = {"EUR": 2, "USD": 2, "JPY": 0, "KRW": 0, "UGX": 0, "ISK": 0, "CLP": 0, "BHD": 3, "KWD": 3, "TND": 3}
# Every currency that was ever taken, by its exponent. A currency is added here when the library learns of it, and never
# removed or changed: there may be payments in it.
ACCEPTED = {
    code: int(exponent)
    for exponent, codes in json.loads(Path(__file__).with_name("accepted_currencies.json").read_text()).items()
    for code in codes.split()
}
# From ISO 4217's list of what is gone.
GONE = {"BGN": 2, "HRK": 2, "LTL": 2, "DEM": 2, "ITL": 0, "BYR": 0, "SLL": 2, "ZWL": 2, "ANG": 2}


@pytest.mark.parametrize("currency, exponent", list(KNOWN.items()))
def test_each_currency_has_its_own_minor_unit(currency, exponent):
    assert EXPONENTS[currency] == exponent


@pytest.mark.parametrize(
    "amount, currency, text",
    [
        (1050, "EUR", "10.50 EUR"),
        (5, "EUR", "0.05 EUR"),
        (500, "JPY", "500 JPY"),
        (1230, "KWD", "1.230 KWD"),
        (MAX_AMOUNT, "EUR", "10000000000.00 EUR"),
    ],
)
def test_an_amount_is_written_with_its_decimal_places(amount, currency, text):
    assert str(Money(amount, currency)) == text


@pytest.mark.parametrize("amount", [1.0, 10.5, "10", None, True, False, [1], float("nan")])
def test_what_is_no_whole_number_is_refused(amount):
    with pytest.raises(InvalidAmount):
        checked_amount(amount)
    with pytest.raises(InvalidAmount) as refusal:
        Money(amount, "EUR")
    assert refusal.value.details["errors"][0]["pointer"] == "/amount"


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT + 1, 2**63, -(2**63)])
def test_nothing_less_than_nothing_and_too_much_are_refused(amount):
    with pytest.raises(InvalidAmount):
        Money(amount, "EUR")


@pytest.mark.parametrize("amount", [1, MAX_AMOUNT])
def test_the_bounds_themselves_are_amounts(amount):
    assert Money(amount, "EUR").amount == amount


@pytest.mark.parametrize(
    "currency", ["", "EU", "EURO", "ABC", "XXX", "XTS", "XAU", "CHE", "CLF", "HRK", "ßR", "€", 978, None, ["EUR"]]
)
def test_what_nobody_can_pay_in_is_refused(currency):
    with pytest.raises(UnsupportedCurrency) as refusal:
        Money(100, currency)
    assert refusal.value.details["errors"][0]["pointer"] == "/currency"


def test_what_was_taken_once_is_known_for_ever_with_the_exponent_that_it_had():
    """Red after an update of the library? What has left ISO 4217, or counts in another unit, goes into `WITHDRAWN`."""
    assert {code: EXPONENTS.get(code) for code in ACCEPTED} == ACCEPTED


def test_what_is_taken_now_is_among_what_was_taken():
    """Red after an update of the library? Add what is new to the list."""
    assert set(ACCEPTED) >= SPENDABLE


@pytest.mark.parametrize("currency, exponent", list(GONE.items()))
def test_what_is_gone_is_known_and_not_taken(currency, exponent):
    assert known_currency(currency.lower()) == currency
    assert (WITHDRAWN[currency], EXPONENTS[currency]) == (exponent, exponent)
    assert written(1050, currency) == (f"10.50 {currency}" if exponent else f"1050 {currency}")
    with pytest.raises(UnsupportedCurrency):
        Money(100, currency)


@pytest.mark.parametrize("currency", ["", "EU", "ABC", "XXX", "XAU", "CLF", "ßR", "€", 978, None, ["EUR"]])
def test_what_never_was_money_is_not_known(currency):
    with pytest.raises(UnsupportedCurrency) as refusal:
        known_currency(currency)
    assert refusal.value.details["errors"][0]["pointer"] == "/currency"


def test_a_currency_is_kept_in_capitals():
    assert Money(100, "eur") == Money(100, "EUR")


@given(st.integers(1, MAX_AMOUNT), st.sampled_from(sorted(EXPONENTS)))
def test_what_is_written_is_what_was_meant(amount, currency):
    number, _, code = written(amount, currency).partition(" ")
    whole, _, part = number.partition(".")
    assert code == currency
    assert len(part) == EXPONENTS[currency]
    assert int(whole + part) == amount


@given(st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=5), st.text(max_size=4))
def test_there_is_no_money_but_good_money(amount, currency):
    try:
        money = Money(amount, currency)
    except (InvalidAmount, UnsupportedCurrency):
        return
    assert type(money.amount) is int
    assert 1 <= money.amount <= MAX_AMOUNT
    assert money.currency in SPENDABLE

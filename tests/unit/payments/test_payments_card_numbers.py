"""A card number is found where one is, and not where none is."""

import base64
import random
import string
import time
import timeit
import uuid

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.card_numbers import HIDDEN, characters_to_search, hide_card_numbers, holds_card_number
from lib.ids import new_id
from payments_svc.domain.card_numbers import CardNumberRefused, refuse_card_number
from tests.support.card_numbers import ISSUED, VISA, in_text, is_complete, plain

NUMBERS = random.Random(7)
ALPHABET = string.digits + "ABCDEFGHJKMNPQRSTVWXYZ"
BASE64 = string.ascii_letters + string.digits + "-_"


@pytest.mark.parametrize(
    "text",
    [
        VISA,
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "4242 4242-42424242",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "30569309025904",
        "6011111111111117",
        "3566002020360505",
        "4222222222222",
        "6304000000000000000",
        f"my card is {VISA}, thanks",
        f"order 12 {VISA}",
        "order 12 4242 4242 4242 4242 please",
        "4242 4242 4242 4242 12 39 123",
        f"({VISA})",
        f"card={VISA};",
        f"card_{VISA}",
        f"+{VISA}",
        "+378282246310005",
        "tel:+378282246310005",
        "+4222222222222",
        "+30 5693 0902 5904",
        # A telephone number that looks like a card is one to us.
        "+4915112345678",
        "+49 151 1234 5678",
        f"{VISA}-",
        f"- {VISA} -",
        f"--{VISA}",
        f'{{"number":"{VISA}"}}',
        "４２４２４２４２４２４２４２４２",
        "4242\u00a04242\u00a04242\u00a04242",
        "4242\u20104242\u20114242\u20134242",
        f"12\u2013{VISA}",
    ],
)
def test_card_numbers_are_found(text):
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "4242424242424241",
        "424242424242",
        "42424242424242424242",
        "1111111111111117",
        "2121212121212127",
        "2821212121212126",
        "4242  4242  4242  4242",
        "4242--4242--4242--4242",
        "4242.4242.4242.4242",
        "4242 4242\n4242 4242",
        f"a{VISA}",
        f"{VISA}a",
        f"{VISA}é",
        f"ch-{VISA}",
        f"{VISA}-x",
        f"12-{VISA}",
        f"12\u2010{VISA}",
        "4242 4242 4242 424x",
        "tok_visa",
        "+49 170 1234567",
        "+4915112345670",
        # The same as above, as it can be written.
        "+49 (151) 12345678",
        "+49.151.12345678",
        "+49 151 / 12345678",
        "0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f",
        "4242-4242-4242-4242-0",
    ],
)
def test_other_texts_are_left_alone(text):
    assert not holds_card_number(text)
    assert hide_card_numbers(text) == text


@given(in_text())
def test_no_card_number_passes(text):
    assert holds_card_number(text)
    assert characters_to_search(text)
    hidden = hide_card_numbers(text)
    assert HIDDEN in hidden
    assert not holds_card_number(hidden)
    assert sum(each.isdecimal() for each in hidden) <= 1


@given(st.lists(in_text(), min_size=2, max_size=4))
def test_none_of_several_passes(texts):
    hidden = hide_card_numbers("; ".join(texts))
    assert hidden.count(HIDDEN) == len(texts)
    assert not holds_card_number(hidden)


@given(plain(), st.integers(1, 9), st.data())
def test_a_number_with_one_digit_changed_passes(number, by, data):
    at = data.draw(st.integers(2, len(number) - 1))
    changed = f"{number[:at]}{(int(number[at]) + by) % 10}{number[at + 1 :]}"
    assert not holds_card_number(changed)


@given(plain(), st.sampled_from(["a", "Z", "é", "x-", "7-"]), st.sampled_from(["a", "Z", "é", "-x"]))
def test_a_part_of_a_longer_token_is_none(number, before, after):
    for token in (f"{before}{number}", f"{number}{after}", f"{before}{number}{after}"):
        assert not holds_card_number(token)


@given(st.text())
def test_any_text_is_searched_and_only_numbers_are_hidden(text):
    hidden = hide_card_numbers(text)
    assert holds_card_number(text) == (hidden != text)
    assert (HIDDEN in hidden) == (HIDDEN in text or hidden != text)


@given(st.lists(st.sampled_from(["3", "4", "42", " ", "-", "7"]), min_size=20, max_size=60).map("".join))
def test_what_overlaps_is_hidden_together(text):
    assert not holds_card_number(hide_card_numbers(text))


def _found(texts):
    return [each for each in texts if holds_card_number(each) or hide_card_numbers(each) != each]


def _uuids():
    yield from (str(uuid.UUID(int=NUMBERS.getrandbits(128), version=4)) for _ in range(100_000))
    yield from (str(new_id()) for _ in range(50_000))
    # Those that look most like numbers: no letter in them.
    digits = ("".join(NUMBERS.choices(string.digits, k=32)) for _ in range(50_000))
    yield from (str(uuid.UUID(each)) for each in digits)


def test_200_000_uuids_pass():
    ids = list(_uuids())
    assert len(ids) == 200_000
    assert _found(ids) == []


def test_10_000_times_in_milliseconds_pass():
    # From 1970 to 2033 or so.
    times = [str(NUMBERS.randrange(2 * 10**12)) for _ in range(5_000)]
    times += [str(1_767_225_600_000 + NUMBERS.randrange(365 * 86_400_000)) for _ in range(5_000)]
    assert _found(times) == []


def test_a_plus_sign_makes_no_difference():
    numbers = [str(NUMBERS.randrange(10**10, 10**15)) for _ in range(20_000)]
    cards = [each for each in numbers if len(each) >= 13 and each.startswith(tuple(ISSUED)) and is_complete(each)]
    assert 100 < len(cards) < 1_500
    assert _found(numbers) == cards
    assert _found([f"+{each}" for each in numbers]) == [f"+{each}" for each in cards]


def test_telephone_numbers_of_up_to_12_digits_pass():
    numbers = [NUMBERS.randrange(10**10, 10**12) for _ in range(10_000)]
    assert _found([f"+{each}" for each in numbers]) == []
    assert _found([f"call +{each:,}".replace(",", " ") for each in numbers]) == []


def test_other_ids_pass():
    ulids = ["".join(NUMBERS.choices(ALPHABET, k=26)) for _ in range(10_000)]
    digits = ["".join(NUMBERS.choices(string.digits, k=26)) for _ in range(10_000)]
    cursors = [base64.urlsafe_b64encode(NUMBERS.randbytes(21)).decode() for _ in range(10_000)]
    tokens = [f"lot_{''.join(NUMBERS.choices(BASE64, k=43))}" for _ in range(10_000)]
    signed = [jwt.encode({"sub": str(new_id()), "iat": NUMBERS.randrange(2 * 10**9)}, "k" * 32) for _ in range(2_000)]
    traces = [f"00-{NUMBERS.getrandbits(128):032x}-{NUMBERS.getrandbits(64):016x}-01" for _ in range(10_000)]
    assert _found([*ulids, *digits, *cursors, *tokens, *signed, *traces]) == []


BODY = (
    '{"amount": 1050, "currency": "EUR", "payment_method": "0198a3f2-6c1e-7d4a-9b57-2f4c8e6a1d03",'
    ' "description": "Two books", "metadata": {"order": "1234", "at": "1767225600000"}, "reference": "order-1234"}'
)


def test_to_look_costs_next_to_nothing():
    # The least of several, and of this process alone: what else the machine does only adds to it.
    look = timeit.Timer(lambda: characters_to_search(BODY), timer=time.process_time)
    assert min(look.repeat(number=1_000, repeat=7)) / 1_000 < 20e-6
    assert characters_to_search(BODY) == 13


def test_the_refusal_does_not_repeat_the_number():
    with pytest.raises(CardNumberRefused) as refusal:
        refuse_card_number(f"my card is {VISA}", "/description")
    assert "4242" not in f"{refusal.value} {refusal.value.details}"
    assert refusal.value.details["errors"][0]["pointer"] == "/description"


def test_an_ordinary_text_passes():
    refuse_card_number("two rabbits", "/description")

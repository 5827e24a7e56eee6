"""A card number is found where one is, and not where none is."""

import random
import uuid

import pytest

from payments_svc.domain.card_numbers import CardNumberRefused, looks_like_card_number, refuse_card_number

VISA = "4242424242424242"


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
        f"({VISA})",
        f"card={VISA};",
        f"card_{VISA}",
        f"{VISA}-",
        f"- {VISA} -",
        f'{{"number":"{VISA}"}}',
        "４２４２４２４２４２４２４２４２",
    ],
)
def test_card_numbers_are_found(text):
    assert looks_like_card_number(text)


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
        f"a{VISA}",
        f"{VISA}a",
        f"{VISA}é",
        f"ch-{VISA}",
        f"{VISA}-x",
        f"12-{VISA}",
        "4242 4242 4242 424x",
        "tok_visa",
        "+49 170 1234567",
        "0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f",
    ],
)
def test_other_texts_are_left_alone(text):
    assert not looks_like_card_number(text)


def test_ids_do_not_match():
    numbers = random.Random(7)
    ids = [str(uuid.UUID(int=numbers.getrandbits(128))) for _ in range(5_000)]
    assert [each for each in ids if looks_like_card_number(each)] == []


def test_the_refusal_does_not_repeat_the_number():
    with pytest.raises(CardNumberRefused) as refusal:
        refuse_card_number(f"my card is {VISA}", "/description")
    assert "4242" not in f"{refusal.value} {refusal.value.details}"
    assert refusal.value.details["errors"][0]["pointer"] == "/description"


def test_an_ordinary_text_passes():
    refuse_card_number("two rabbits", "/description")

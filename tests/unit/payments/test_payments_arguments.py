"""What callers may say about a payment."""

import uuid

import pytest

from payments_svc.domain.arguments import InvalidText, InvalidUserId, checked_text, parse_id, parse_user_id
from payments_svc.domain.card_numbers import CardNumberRefused
from payments_svc.domain.details import Details, InvalidMetadata, checked_payment_method

CARD = "4242 4242 4242 4242"
ID = "0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f"


@pytest.mark.parametrize("value", ["", "12345678901", "a\0b", "\ud800", "x\udfff", 5, None, ["a"]])
def test_what_cannot_be_kept_as_a_text_is_refused(value):
    with pytest.raises(InvalidText) as refusal:
        checked_text(value, "/description", longest=10)
    assert refusal.value.details["errors"][0]["pointer"] == "/description"


@pytest.mark.parametrize("value", ["a", "1234567890", "žluťoučký", "🐇", "two\nlines"])
def test_other_texts_are_kept_as_they_are(value):
    assert checked_text(value, "/description", longest=10) == value


def test_an_id_has_one_spelling():
    assert parse_id(ID) == parse_id(ID.upper()) == uuid.UUID(ID)


@pytest.mark.parametrize("value", ["", "nobody", ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", 5, None, [ID]])
def test_what_is_no_id_is_none(value):
    assert parse_id(value) is None


def test_a_user_id_is_an_id():
    assert parse_user_id(ID) == uuid.UUID(ID)
    with pytest.raises(InvalidUserId):
        parse_user_id("nobody")


def test_details_hold_what_was_said():
    details = Details("two rabbits", {"order": "17", "note": ""}, "order-17")
    assert (details.description, details.metadata, details.reference) == (
        "two rabbits",
        {"order": "17", "note": ""},
        "order-17",
    )


def test_nothing_has_to_be_said():
    assert Details() == Details(None, {}, None)


@pytest.mark.parametrize(
    "said",
    [
        {"description": ""},
        {"description": "x" * 501},
        {"description": 5},
        {"reference": ""},
        {"reference": "x" * 201},
        {"metadata": {"key": "a\0b"}},
        {"metadata": {"\ud800": "value"}},
    ],
)
def test_texts_that_cannot_be_kept_are_refused(said):
    with pytest.raises(InvalidText):
        Details(**said)


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        "text",
        {"": "value"},
        {"k" * 41: "value"},
        {5: "value"},
        {"key": "v" * 501},
        {"key": 5},
        {"key": None},
        {"key": {"nested": "value"}},
        {f"key{n}": "value" for n in range(51)},
    ],
)
def test_metadata_is_a_small_table_of_texts(metadata):
    with pytest.raises(InvalidMetadata) as refusal:
        Details(metadata=metadata)
    assert refusal.value.details["errors"][0]["pointer"] == "/metadata"


def test_metadata_of_the_largest_size_is_taken():
    metadata = {f"{n:0>40}": "v" * 500 for n in range(50)}
    assert Details(metadata=metadata).metadata == metadata


@pytest.mark.parametrize(
    "said",
    [
        {"description": f"from {CARD}"},
        {"reference": CARD},
        {"metadata": {"card": CARD}},
        {"metadata": {CARD: "card"}},
    ],
)
def test_card_numbers_are_refused_wherever_they_stand_and_not_repeated(said):
    with pytest.raises(CardNumberRefused) as refusal:
        Details(**said)
    assert "4242" not in f"{refusal.value} {refusal.value.details}"


def test_a_card_number_is_no_payment_method():
    with pytest.raises(CardNumberRefused):
        checked_payment_method("4242424242424242")


@pytest.mark.parametrize("value", ["", "x" * 256, 5])
def test_a_payment_method_is_a_text(value):
    with pytest.raises(InvalidText):
        checked_payment_method(value)


def test_a_token_is_a_payment_method():
    assert checked_payment_method("tok_visa") == "tok_visa"

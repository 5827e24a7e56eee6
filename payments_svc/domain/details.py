"""What a caller says about a payment, beside how much and how."""

from __future__ import annotations

from dataclasses import dataclass, field

from payments_svc.domain.arguments import BadArgument, checked_text
from payments_svc.domain.card_numbers import refuse_card_number

MAX_TEXT = 500
"""Longest description and refund reason, in characters."""

MAX_REFERENCE = 200
MAX_METADATA_KEYS, MAX_METADATA_KEY, MAX_METADATA_VALUE = 50, 40, 500
MAX_PAYMENT_METHOD = 255


class InvalidMetadata(BadArgument):
    code = "invalid_metadata"


class UnknownPaymentMethod(BadArgument):
    code = "unknown_payment_method"


class UnsupportedPaymentMethod(BadArgument):
    code = "unsupported_payment_method"


@dataclass(frozen=True)
class Details:
    """A payment's description, metadata and reference.

    :param description: for people, up to 500 characters
    :param metadata: for the caller's programs: up to 50 keys of up to 40 characters, with texts of up to 500
    :param reference: the caller's own key for what is paid, up to 200 characters, unique per customer
    """

    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    reference: str | None = None

    def __post_init__(self) -> None:
        if self.description is not None:
            checked_note(self.description, "/description", longest=MAX_TEXT)
        if self.reference is not None:
            checked_note(self.reference, "/reference", longest=MAX_REFERENCE)
        if not isinstance(self.metadata, dict) or len(self.metadata) > MAX_METADATA_KEYS:
            raise InvalidMetadata(f"metadata is an object of up to {MAX_METADATA_KEYS} keys", "/metadata")
        for key, value in self.metadata.items():
            _check_entry(key, value)


def _check_entry(key: object, value: object) -> None:
    # The pointer leaves the key out: it may be what is refused.
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_METADATA_KEY:
        raise InvalidMetadata(f"a metadata key has 1 to {MAX_METADATA_KEY} characters", "/metadata")
    if not isinstance(value, str) or len(value) > MAX_METADATA_VALUE:
        raise InvalidMetadata(f"a metadata value is a text of up to {MAX_METADATA_VALUE} characters", "/metadata")
    # Empty values are fine, so only the rest of the rules for texts holds.
    for text in filter(None, (key, value)):
        checked_note(text, "/metadata", longest=MAX_METADATA_VALUE)


def checked_note(value: object, pointer: str, *, longest: int) -> str:
    """Return a text that is kept with a payment; one that holds a card number is refused."""
    text = checked_text(value, pointer, longest=longest)
    refuse_card_number(text, pointer)
    return text


def checked_payment_method(value: object) -> str:
    """Return a provider's token for a means of payment, which is no card number."""
    return checked_note(value, "/payment_method", longest=MAX_PAYMENT_METHOD)

"""Finding card numbers where none may be.

Card numbers go to the provider's own form and never through us: a system that has seen one falls under rules that
this one is not built for. So a text that holds one is refused, and no answer or log repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator

from payments_svc.domain.arguments import BadArgument

SHORTEST, LONGEST = 13, 19
SEPARATORS = frozenset(" -")


class CardNumberRefused(BadArgument):
    code = "card_number_refused"


def refuse_card_number(text: str, pointer: str) -> None:
    """Raise `CardNumberRefused`, which does not repeat the text, if it holds a card number."""
    if looks_like_card_number(text):
        raise CardNumberRefused("card numbers are not accepted here; send a token of the provider", pointer)


def looks_like_card_number(text: str) -> bool:
    """Tell whether the text holds a card number.

    That is 13 to 19 digits with single spaces or dashes between them at most, which begin with 3 to 6 or 22 to 27,
    pass the Luhn check, and are not a part of a longer word or dashed token: otherwise one UUID in 500 would match.
    """
    return any(_is_issued(digits) and _passes_luhn(digits) for digits in _candidates(text))


def _candidates(text: str) -> Iterator[str]:
    """Give the digits of each stretch that has the length and the surroundings of a card number."""
    for start, character in enumerate(text):
        if not character.isdecimal() or not _begins_token(text, start):
            continue
        digits = ""
        position = start
        while position < len(text) and len(digits) < LONGEST:
            # As ASCII, whatever script the digit is written in.
            digits += str(int(text[position]))
            if len(digits) >= SHORTEST and _ends_token(text, position):
                yield digits
            position += 1
            if position < len(text) and text[position] in SEPARATORS:
                position += 1
            if position < len(text) and not text[position].isdecimal():
                break


def _begins_token(text: str, start: int) -> bool:
    before = text[max(0, start - 2) : start]
    return not before[-1:].isalnum() and not (before[-1:] == "-" and before[:1].isalnum())


def _ends_token(text: str, end: int) -> bool:
    after = text[end + 1 : end + 3]
    return not after[:1].isalnum() and not (after[:1] == "-" and after[1:].isalnum())


def _is_issued(digits: str) -> bool:
    return digits[0] in "3456" or 22 <= int(digits[:2]) <= 27


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0

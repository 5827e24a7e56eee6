"""Finding card numbers where none may be: in what comes in, and in what is written down.

A card number is 13 to 19 digits of any script, with single spaces or dashes between them at most, which begin with 3 to
6 or 22 to 27, pass the Luhn check, and are no part of a longer word or of a longer token with dashes. Without the last
rule, one UUID in 500 would be one. Nothing else around the digits makes them something else: there are cards of 13 to
15 digits, so a telephone number that looks like one (one in ten of those that are long enough and begin so) is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate

SHORTEST, LONGEST = 13, 19
HIDDEN = "[card number]"

#: those of Unicode that stand in a text that was copied from somewhere, too
_SPACES = " \u00a0\u2007\u2008\u2009\u200a\u202f\u3000"
_HYPHENS = "-\u2010\u2011"
_DASHES = "\u2012\u2013\u2014\u2212\uff0d"

#: digits and what may stand between them; nearly every text has none that is so long, and that is found out in C
_RUN = re.compile(rf"\d(?:[{_SPACES}{re.escape(_HYPHENS)}{_DASHES}]?\d){{{SHORTEST - 1},}}+")
#: before and after a digit: the rest of a longer token
_BEFORE = re.compile(rf"[^\W_][{re.escape(_HYPHENS)}]")
_AFTER = re.compile(rf"[{re.escape(_HYPHENS)}]?[^\W_]")

#: what a digit counts in the Luhn check where it is doubled
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def characters_to_search(text: str) -> int:
    """Return how much of the text a search has to look through, which is nothing of nearly every text.

    This costs next to nothing, and the search about a microsecond for each of these.
    """
    return sum(run.end() - run.start() for run in _RUN.finditer(text))


def holds_card_number(text: str) -> bool:
    """Tell whether a card number is in the text."""
    return any(True for _ in _found(text))


def hide_card_numbers(text: str) -> str:
    """Return the text with `HIDDEN` in place of each card number."""
    if _RUN.search(text) is None:
        return text
    parts, at = [], 0
    for start, end in _merged(_found(text)):
        parts += [text[at:start], HIDDEN]
        at = end
    return "".join([*parts, text[at:]])


def _merged(spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Give the stretches that the spans cover together: of two that overlap, nobody knows which one is meant."""
    begin = until = -1
    for start, end in spans:
        if start >= until:
            if until > 0:
                yield begin, until
            begin = start
        until = max(until, end)
    if until > 0:
        yield begin, until


def _found(text: str) -> Iterator[tuple[int, int]]:
    """Give where in the text card numbers begin and end, by their beginning."""
    for run in _RUN.finditer(text):
        yield from _in_run(text, [at for at in range(*run.span()) if text[at].isdecimal()])


def _in_run(text: str, places: list[int]) -> Iterator[tuple[int, int]]:
    """Give the card numbers among digits that stand together.

    Each digit may be the first of one and each length may be its own, so the sums of the Luhn check are made once for
    all: a text full of digits is no way to keep a process busy.

    :param places: where in the text the digits are
    """
    digits = [int(text[at]) for at in places]
    # What counts is the parity of a digit's place from the end of its number.
    sums = (
        [0, *accumulate(_DOUBLED[digit] if at % 2 else digit for at, digit in enumerate(digits))],
        [0, *accumulate(digit if at % 2 else _DOUBLED[digit] for at, digit in enumerate(digits))],
    )
    for first in range(len(digits) - SHORTEST + 1):
        if not _is_issued(digits[first], digits[first + 1]) or not _begins(text, places[first]):
            continue
        for after in range(first + SHORTEST, min(first + LONGEST, len(digits)) + 1):
            counted = sums[(after - 1) % 2]
            if (counted[after] - counted[first]) % 10 == 0 and _ends(text, places[after - 1] + 1):
                yield places[first], places[after - 1] + 1


def _is_issued(first: int, second: int) -> bool:
    return 3 <= first <= 6 or (first == 2 and 2 <= second <= 7)


def _begins(text: str, at: int) -> bool:
    return not (text[at - 1 : at].isalnum() or (at > 1 and _BEFORE.match(text, at - 2)))


def _ends(text: str, at: int) -> bool:
    return _AFTER.match(text, at) is None

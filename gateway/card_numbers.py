"""Card numbers are refused wherever a request could bring one: in texts and names of JSON, in queries, in forms.

What is refused is neither repeated in the answer nor written down. Ids in paths and headers are not searched: they name
things and hold no text of people. Passwords are: a card number is a bad one, and nobody knows where it would turn up.
What providers send to their webhooks is theirs to write; it is redacted where it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flask import request

from lib.card_numbers import characters_to_search, holds_card_number
from lib.errors import Invalid

#: the blueprint of what providers send
WEBHOOKS = "webhooks"
#: no body of ours has nearly as many digits in a row, and each takes a microsecond
MOST_SEARCHED = 20_000


class CardNumberRefused(Invalid):
    code = "card_number_refused"

    def __init__(self, pointer: str) -> None:
        told = "card numbers are not accepted here; send a token of the provider"
        super().__init__(told, errors=[{"pointer": pointer, "code": self.code, "detail": told}])


class TooManyDigits(Invalid):
    code = "unusable_json"


class TooManyDigitsInPairs(Invalid):
    code = "validation_failed"

    def __init__(self) -> None:
        told = "the values hold too many digits in a row"
        super().__init__(told, errors=[{"pointer": "", "code": "too_long", "detail": told}])


def refuse_in_json(value: Any, text: str) -> None:
    """Refuse a card number among the strings and the names of a body.

    :param value: the body
    :param text: what it was read from
    :raises CardNumberRefused: with a pointer to where it is, which holds no card number
    """
    # Only escapes make a string another one than what stands in the body; a line break keeps texts apart.
    shown = "\n".join(each for _, each in _texts(value, "")) if "\\u" in text else text
    size = characters_to_search(shown)
    if size > MOST_SEARCHED:
        raise TooManyDigits("the body holds too many digits in a row")
    if size:
        _refuse(_texts(value, ""))


def refuse_in_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Refuse a card number among the names and values of a form or a query.

    :raises CardNumberRefused: with a pointer to where it is, which holds no card number
    :raises TooManyDigitsInPairs: to look for one would keep the process busy
    """
    texts = [each for name, value in pairs for each in (("", name), (f"/{escaped(name)}", value))]
    size = sum(characters_to_search(text) for _, text in texts)
    if size > MOST_SEARCHED:
        raise TooManyDigitsInPairs
    if size:
        _refuse(texts)


def refuse_in_query() -> None:
    """Refuse a card number in the query string, whatever the route makes of it."""
    if request.url_rule is not None and request.blueprint != WEBHOOKS:
        refuse_in_pairs(request.args.items(multi=True))


def escaped(name: str) -> str:
    """Return a member's name as part of a JSON pointer (RFC 6901), cut if somebody plays with it."""
    return name[:100].replace("~", "~0").replace("/", "~1")


def _refuse(texts: Iterable[tuple[str, str]]) -> None:
    for pointer, text in texts:
        if holds_card_number(text):
            raise CardNumberRefused(pointer)


def _texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Give each string and name of a JSON value with a pointer to it; a name's is that of its object."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield pointer, name
            yield from _texts(each, f"{pointer}/{escaped(name)}")
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _texts(each, f"{pointer}/{at}")

"""JSON as RFC 7493 (I-JSON) has it, and no more of it than a request needs.

Python's parser is kinder than that: it takes NaN, the last of two equal keys, UTF-16, half surrogate pairs, and
nesting as deep as its stack.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gateway.card_numbers import refuse_in_json
from lib.errors import Invalid, Malformed

DEEPEST = 32
#: no request of ours has nearly as many objects and lists
MOST_CONTAINERS = 1000

# The closing quote may be missing, so that no text makes this look twice at the same place.
_STRINGS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class MalformedJson(Malformed):
    code = "malformed_json"


class UnusableJson(Invalid):
    """It is JSON, and still nothing that can be worked with."""

    code = "unusable_json"


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise UnusableJson("a key stands twice in the same object")
    return members


def _constant(name: str) -> Any:
    raise MalformedJson(f"{name} is not JSON")


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise UnusableJson("a number is too large")
    return value


_decode = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_number).decode


def parse(body: bytes) -> dict[str, Any]:
    """Return the object that `body` holds.

    :raises MalformedJson: it is not JSON (400)
    :raises UnusableJson: it is not an object, or holds what cannot be kept (422)
    :raises CardNumberRefused: it holds a card number (422)
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedJson("the body is not UTF-8") from exc
    if text.count("[") + text.count("{") > DEEPEST:
        _check_nesting(text)
    try:
        value = _decode(text)
    except json.JSONDecodeError as exc:
        raise MalformedJson(f"the body is not JSON: {exc.msg} at character {exc.pos}") from exc
    except ValueError as exc:
        # Python refuses to read whole numbers of more than 4,300 digits.
        raise UnusableJson("a number is too large") from exc
    if not isinstance(value, dict):
        raise UnusableJson("the body is not an object")
    if "\\u" in text and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise UnusableJson("the body holds half of a surrogate pair")
    refuse_in_json(value, text)
    return value


def _check_nesting(text: str) -> None:
    # Peels the innermost brackets off, one layer a round. All of it runs in C, so that a body full of brackets is no
    # way to keep the process busy.
    brackets = re.sub(r"[^\[\]{}]+", "", _STRINGS.sub("", text))
    if len(brackets) > 2 * MOST_CONTAINERS:
        raise UnusableJson(f"the body holds more than {MOST_CONTAINERS} objects and lists")
    for _ in range(DEEPEST):
        if not brackets:
            return
        brackets = brackets.replace("[]", "").replace("{}", "")
    if brackets:
        raise MalformedJson(f"the body is nested deeper than {DEEPEST} levels, or its brackets do not match")

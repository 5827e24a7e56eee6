"""What may stand in each field of a profile: each parser returns a value as it is kept, or says what is wrong.

Text is kept as it was typed, in NFC: whoever shows it escapes it for where it is shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from ipaddress import AddressValueError, IPv6Address
from typing import Any
from zoneinfo import available_timezones

import regex  # type: ignore[import-untyped]

from users_svc.domain.invisible import without_invisible
from users_svc.domain.visibility import AUDIENCES, DEFAULT_AUDIENCES

FIRST_BIRTH_DATE = date(1900, 1, 1)
MAX_URL, MAX_LOCALE = 2048, 35


class Unacceptable(ValueError):
    """This value cannot stand in its field.

    :param code: for programs
    :param pointer: where in the value, as a JSON pointer
    """

    def __init__(self, code: str, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.code, self.detail, self.pointer = code, detail, pointer


@dataclass(frozen=True)
class Limit:
    """How long a text may be, in what people count and in what it costs to keep.

    A grapheme is what a reader takes for one character; it has as many code points as its writer likes.
    """

    graphemes: int
    characters: int
    octets: int

    def check(self, text: str) -> None:
        # The cheap ones first: they bound the work of the last.
        too_long = (
            len(text) > self.characters
            or len(text.encode("utf-8")) > self.octets
            or len(regex.findall(r"\X", text)) > self.graphemes
        )
        if too_long:
            raise Unacceptable("too_long", f"at most {self.graphemes} characters and {self.octets} bytes")


NAME = Limit(graphemes=64, characters=100, octets=320)
LOCATION = Limit(graphemes=100, characters=200, octets=640)
BIO = Limit(graphemes=256, characters=2000, octets=6400)

# As in `users_svc.domain.text`; prose may have lines and tabs.
_NO_LINE = regex.compile(r"[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]")
_NO_PROSE = regex.compile(r"[[\p{Cc}--[\n\t]]\p{Cs}]", regex.VERSION1)

_LOCALE = re.compile(
    r"[A-Za-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*"
    r"(?:-[0-9A-WYZa-wyz](?:-[A-Za-z0-9]{2,8})+)*(?:-[xX](?:-[A-Za-z0-9]{1,8})+)?"
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Whatever comes before an @ is a name and a password, and no host has one. RFC 3987 leaves some characters out of
# addresses; whoever reads one of them may read another address.
_URL = regex.compile(
    r"https?://(?:(?P<name>[^/?#:@\[\]]+)|\[(?P<number>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?"
    r'(?:[/?#][^\p{C}\p{Z}<>"\\^`{|}]*)?',
    regex.IGNORECASE,
)
_HOST = regex.compile(r"[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}._-]*[\p{L}\p{M}\p{N}])?\.?")


def parse_display_name(value: object) -> str:
    """Read a name, which nobody can be without."""
    name = _line(value, NAME)
    if name is None:
        raise Unacceptable("too_short", "a name has something to be seen")
    return name


def parse_location(value: object) -> str | None:
    return _line(value, LOCATION)


def parse_bio(value: object) -> str | None:
    """Read prose of several lines; nothing but space is none."""
    text = _text(value, BIO).replace("\r\n", "\n").replace("\r", "\n")
    if _NO_PROSE.search(text):
        raise Unacceptable("invalid_characters", "no control characters")
    text = unicodedata.normalize("NFC", text).strip()
    BIO.check(text)
    return text if without_invisible(text).strip() else None


def parse_url(value: object) -> str | None:
    """Read the address of a page or a picture. Nobody here ever fetches it."""
    if not isinstance(value, str):
        raise Unacceptable("invalid_type", "expected text")
    if not value:
        return None
    # In this order: half a surrogate pair has no bytes.
    if len(value) <= MAX_URL and not _is_web_address(value):
        raise Unacceptable("invalid_url", "expected an address with https:// or http:// and without a password")
    if len(value) > MAX_URL or len(value.encode("utf-8")) > MAX_URL:
        raise Unacceptable("too_long", f"at most {MAX_URL} bytes")
    return value


def parse_birth_date(value: object, today: date) -> date:
    """Read the day of a birth that somebody alive can have had."""
    try:
        day = date.fromisoformat(value) if isinstance(value, str) and _DAY.fullmatch(value) else None
    except ValueError:
        day = None
    if day is None or not FIRST_BIRTH_DATE <= day < today:
        raise Unacceptable("invalid_date", f"expected a day like 1990-01-31, from {FIRST_BIRTH_DATE} until yesterday")
    return day


def parse_locale(value: object) -> str:
    """Read a language tag (BCP 47) by its form; which of them mean something changes with time."""
    if not isinstance(value, str) or len(value) > MAX_LOCALE or not _LOCALE.fullmatch(value):
        raise Unacceptable("invalid_locale", "expected a language tag like de-CH")
    return value


def parse_time_zone(value: object) -> str:
    if not isinstance(value, str) or value not in _time_zones():
        raise Unacceptable("invalid_time_zone", "expected the name of a time zone like Europe/Zurich")
    return value


def parse_switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unacceptable("invalid_type", "expected true or false")
    return value


def parse_visibility(value: object) -> dict[str, str | None]:
    """Read the audiences of some fields; None for the field's usual one."""
    if not isinstance(value, Mapping):
        raise Unacceptable("invalid_type", "expected an object")
    for name, audience in value.items():
        if name not in DEFAULT_AUDIENCES:
            raise Unacceptable("unknown_field", "there is no such field to be seen", pointer_to(name))
        if audience is not None and audience not in AUDIENCES:
            raise Unacceptable("unknown_value", f"one of {', '.join(AUDIENCES)}", pointer_to(name))
    return dict(value)


def pointer_to(name: Any) -> str:
    """Return the JSON pointer (RFC 6901) to a member."""
    return "/" + str(name)[:100].replace("~", "~0").replace("/", "~1")


def _text(value: object, limit: Limit) -> str:
    if not isinstance(value, str):
        raise Unacceptable("invalid_type", "expected text")
    # Normalising makes one character of four at most, and its work grows with the square of the marks.
    if len(value) > 4 * limit.characters:
        raise Unacceptable("too_long", f"at most {limit.graphemes} characters and {limit.octets} bytes")
    return value


def _line(value: object, limit: Limit) -> str | None:
    """Read one line without anything invisible; what is nothing then is None."""
    text = _text(value, limit)
    if _NO_LINE.search(text):
        raise Unacceptable("invalid_characters", "no control characters and no line breaks")
    text = unicodedata.normalize("NFC", without_invisible(text)).strip()
    limit.check(text)
    return text or None


def _is_web_address(value: str) -> bool:
    found = _URL.fullmatch(value)
    if found is None or without_invisible(value) != value or not 0 < int(found["port"] or 1) < 65536:
        return False
    if found["name"] is not None:
        # A browser looks for the host under its compatible form, which may have a slash where this one has none.
        return _HOST.fullmatch(unicodedata.normalize("NFKC", found["name"])) is not None
    try:
        IPv6Address(found["number"])
    except AddressValueError:
        return False
    return True


@cache
def _time_zones() -> frozenset[str]:
    # Not on import: it reads files.
    return frozenset(available_timezones())

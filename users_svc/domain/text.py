"""What a person may be called."""

from __future__ import annotations

import unicodedata

from lib.errors import Invalid
from users_svc.domain.invisible import without_invisible

MAX_NAME = 100
"""Longest display name, in code points after normalisation."""

# NFC makes one code point of four at most, so what is longer than this cannot fit. Looking before normalising bounds
# the work: it grows with the square of the number of combining marks.
_READ_AT_MOST = 4 * MAX_NAME

NAMELESS = "Unnamed"

# Controls (NUL among them, which PostgreSQL cannot store), lone surrogates (which UTF-8 cannot), line and paragraph
# separators: none of them belongs to a line of text.
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})


class InvalidName(Invalid):
    code = "invalid_name"


def clean_name(value: object) -> str:
    """Return a name that somebody asks for as it is kept: NFC, nothing invisible; refuse what is no name."""
    if not isinstance(value, str):
        raise _invalid_name("a name is text")
    name = unicodedata.normalize("NFC", without_invisible(value)).strip() if len(value) <= _READ_AT_MOST else ""
    if not 1 <= len(name) <= MAX_NAME:
        raise _invalid_name(f"a name has 1 to {MAX_NAME} characters")
    if not all(_is_allowed(character) for character in name):
        raise _invalid_name("a name has no control characters and no line breaks")
    return name


def fitted_name(value: str) -> str:
    """Return the nearest name to one that another service has accepted.

    The account exists already, so its profile has to exist too, even when the two services disagree about names.
    """
    allowed = "".join(character for character in value[:_READ_AT_MOST] if _is_allowed(character))
    return unicodedata.normalize("NFC", without_invisible(allowed)).strip()[:MAX_NAME].rstrip() or NAMELESS


def address_key(text: str) -> str:
    """Return what two spellings of one e-mail address have in common: the case only, an accent makes another one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def folded(text: str) -> str:
    """Return what two spellings of a text have in common for somebody who searches: no case, no diacritics, NFKC."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(each))
    return " ".join(unicodedata.normalize("NFKC", plain).split())


def _invalid_name(detail: str) -> InvalidName:
    return InvalidName(detail, errors=[{"pointer": "/name", "code": InvalidName.code, "detail": detail}])


def _is_allowed(character: str) -> bool:
    return unicodedata.category(character) not in _REFUSED

"""Text that came from outside, made comparable."""

from __future__ import annotations

import unicodedata

# No code point sequence gets shorter than a quarter by NFC, so what is longer cannot fit; normalizing it would only
# cost time (the sorting of combining marks is quadratic).
SHRINKS_AT_MOST = 4


class UnreadableError(ValueError):
    """Not a text at all, or one that cannot be written as UTF-8, or surely too long."""


def nfc(text: object, *, at_most: int) -> str:
    """Return `text` in Unicode's composed form, so that the same letters are the same code points.

    :param at_most: code points that the caller accepts; the result can still be longer than that
    """
    if not isinstance(text, str):
        raise UnreadableError("not a text")
    if len(text) > at_most * SHRINKS_AT_MOST:
        raise UnreadableError("too long")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        # JSON can hold half of a surrogate pair; no database and no hash function takes it.
        raise UnreadableError("half of a surrogate pair") from exc
    return unicodedata.normalize("NFC", text)

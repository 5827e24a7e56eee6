"""Handles: the names by which people are found and told apart."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from lib.errors import Conflict
from users_svc.domain.profile_fields import Unacceptable
from users_svc.domain.reserved_handles import RESERVED

MIN_LENGTH, MAX_LENGTH = 3, 30

COOL_DOWN = timedelta(days=30)
"""After a handle was chosen, the next one has to wait so long."""

QUARANTINE = timedelta(days=90)
"""So long a handle that was given up is kept from everybody else: links to it are still about."""

_SHAPE = re.compile(r"[A-Za-z0-9_]{3,30}")
_LETTER = re.compile(r"[A-Za-z]")
# NFKC makes one character of several, as of a letter and its marks: what is much longer than a handle is none.
_READ_AT_MOST = 4 * MAX_LENGTH


class HandleTaken(Conflict):
    """Somebody else has it or one that looks like it, or had it not long ago; which of these is not told."""

    code = "handle_taken"

    def __init__(self) -> None:
        super().__init__("somebody has this handle, or one that looks like it")


class HandleChangedRecently(Conflict):
    code = "handle_changed_recently"


@dataclass(frozen=True)
class Handle:
    """:param text: as its owner writes it
    :param key: what all handles have in common that look like it
    """

    text: str
    key: str

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a handle that somebody wishes for; `Unacceptable` if nobody can have it."""
        text = _normal(value)
        if text is None:
            raise Unacceptable(
                "invalid_handle",
                f"a handle has {MIN_LENGTH} to {MAX_LENGTH} of the characters A-Z, a-z, 0-9 and _, and a letter",
            )
        key = _key(text)
        if key in _RESERVED_KEYS:
            raise Unacceptable("reserved_handle", "nobody can have this handle")
        return cls(text, key)


def key_of(value: object) -> str | None:
    """Return the key of what somebody looks for; None if it cannot be a handle."""
    text = _normal(value)
    return None if text is None else _key(text)


def _normal(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > _READ_AT_MOST:
        return None
    text = unicodedata.normalize("NFKC", value)
    return text if _SHAPE.fullmatch(text) and _LETTER.search(text) else None


def _key(text: str) -> str:
    # A capital I is an l, and a small one is the same handle as a capital one.
    key = text.casefold().replace("_", "").replace("1", "l").replace("i", "l").replace("0", "o")
    # The wide ones become the narrow ones and not the other way: of "vvv" there are two readings with a w.
    return key.replace("m", "rn").replace("w", "vv")


_RESERVED_KEYS = frozenset(map(_key, RESERVED))

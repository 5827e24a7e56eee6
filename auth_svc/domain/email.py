"""E-mail addresses: kept as typed, compared without regard to case."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Self

from auth_svc.domain.text import UnreadableError, nfc
from lib.errors import Conflict, Invalid

MAX_LENGTH = 254
MAX_LOCAL = 64
MAX_LABEL = 63
#: RFC 2047
ENCODED_WORD = re.compile(r"=\?[^?]+\?[BbQq]\?[^?]*\?=")
ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
ASCII_LABEL = re.compile(r"[A-Za-z0-9-]+")


class InvalidEmail(Invalid):
    code = "invalid_email"


class EmailTaken(Conflict):
    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("an account with this e-mail address already exists")


def invalid(detail: str) -> InvalidEmail:
    """Return the error for an address that breaks a rule."""
    return InvalidEmail(detail, errors=[{"pointer": "/email", "code": InvalidEmail.code, "detail": detail}])


def key_of(address: str) -> str:
    """Return what two spellings of one address have in common."""
    # Composed again, because some letters with marks exist in one piece only in lower case, as ẖ does.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", address).lower())


def _is_atom(text: str) -> bool:
    """True for a dot-separated piece of a local part (RFC 5322 dot-atom, RFC 6531 for other alphabets)."""
    if text.isascii():
        return ATOM.fullmatch(text) is not None
    return all(ATOM.match(each) if each.isascii() else unicodedata.category(each)[0] in "LMNS" for each in text)


def _is_label(text: str) -> bool:
    """True for a dot-separated piece of a domain name."""
    return (
        0 < len(text) <= MAX_LABEL
        and not text.startswith("-")
        and not text.endswith("-")
        and (
            ASCII_LABEL.fullmatch(text) is not None
            if text.isascii()
            else all(each == "-" or unicodedata.category(each)[0] in "LMN" for each in text)
        )
    )


@dataclass(frozen=True)
class Email:
    """An address. Two are equal if their keys are.

    :param typed: as its owner writes it; mail goes there
    """

    typed: str = field(compare=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            typed = nfc(self.typed, at_most=MAX_LENGTH).strip()
        except UnreadableError as exc:
            raise invalid("that is not an e-mail address") from exc
        if len(typed.encode()) > MAX_LENGTH:
            raise invalid(f"an e-mail address has at most {MAX_LENGTH} characters")
        local, _, domain = typed.rpartition("@")
        labels = domain.split(".")
        if (
            len(local.encode()) > MAX_LOCAL
            # Mail programs read this as a coded form of some other text (RFC 2047), so as another address.
            or ENCODED_WORD.search(local)
            or not all(_is_atom(piece) for piece in local.split("."))
            or len(labels) < 2
            or not all(_is_label(label) for label in labels)
            or labels[-1].isdigit()
        ):
            raise invalid("that is not an e-mail address")
        self._fill(typed)

    def _fill(self, typed: str) -> None:
        object.__setattr__(self, "typed", typed)
        object.__setattr__(self, "key", key_of(typed))

    @classmethod
    def restore(cls, typed: str) -> Self:
        """Rebuild from storage unchecked, so that a stricter rule never makes an old row unreadable."""
        email = cls.__new__(cls)
        email._fill(typed)
        return email

    def __str__(self) -> str:
        return self.typed

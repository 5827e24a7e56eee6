"""What may become a password: long enough, not too long, not one that everybody tries first.

No composition rules: they make passwords worse (NIST SP 800-63B-4). Any Unicode is welcome and compared in NFC.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator

from auth_svc.domain.email import Email
from auth_svc.domain.text import UnreadableError, nfc
from lib.errors import Forbidden, Invalid

MIN_LENGTH = 8
MAX_LENGTH = 128
#: shorter words of a name or of a mail domain are in too many honest passwords
MIN_WORD = 3
MIN_DOMAIN_WORD = 4
WORD_BREAK = re.compile(r"[\W\d_]+")
#: letters that must be left when the owner's name and address are cut out
MIN_OWN_LETTERS = 4


class WeakPassword(Invalid):
    """Its ``errors`` say everything that is wrong, so that nobody has to guess rule after rule."""

    code = "weak_password"


class WrongPassword(Forbidden):
    """The current password, asked for before something that matters, is another one."""

    code = "wrong_password"

    def __init__(self) -> None:
        super().__init__("the current password is wrong")


class PasswordUnchanged(Invalid):
    code = "password_unchanged"

    def __init__(self) -> None:
        super().__init__("the new password is the current one")


def breached_password() -> WeakPassword:
    """Return the error for a password that is known to have leaked."""
    detail = "this password has appeared in a data breach"
    return WeakPassword(detail, errors=[{"pointer": "/password", "code": "breached", "detail": detail}])


def presented_password(text: object) -> str | None:
    """Return `text` as it would have been hashed, or None if it can be nobody's password."""
    try:
        password = nfc(text, at_most=MAX_LENGTH)
    except UnreadableError:
        return None
    return password if 0 < len(password) <= MAX_LENGTH else None


def new_password(text: object, *, email: Email, name: str, common: Container[str]) -> str:
    """Return `text` as it is to be hashed; raise `WeakPassword` with all reasons against it.

    :param email: of the account; with `name`, what the password must not be made of
    :param common: known bad passwords, as `comparable` spells them
    """
    reasons = list(_reasons(text, email=email, name=name, common=common))
    password = presented_password(text)
    if reasons or password is None:
        errors = [{"pointer": "/password", "code": code, "detail": detail} for code, detail in reasons]
        raise WeakPassword("; ".join(detail for _, detail in reasons), errors=errors)
    return password


def _reasons(text: object, *, email: Email, name: str, common: Container[str]) -> Iterator[tuple[str, str]]:
    try:
        password = nfc(text, at_most=MAX_LENGTH)
    except UnreadableError:
        if isinstance(text, str) and len(text) > MAX_LENGTH:
            yield _too_long()
        else:
            yield "unreadable", "the password must be a text"
        return
    if len(password) < MIN_LENGTH:
        yield "too_short", f"the password must have at least {MIN_LENGTH} characters"
    if len(password) > MAX_LENGTH:
        # The rest is not looked at: that would be work for whoever sends the longest text.
        yield _too_long()
        return
    if comparable(password) in common:
        yield "common", "this password is among the first that anybody would try"
    if is_made_of(password, email=email, name=name):
        yield "personal", "the password must not be made of your own name or e-mail address"


def _too_long() -> tuple[str, str]:
    return "too_long", f"the password must have at most {MAX_LENGTH} characters"


def comparable(text: str) -> str:
    """Return `text` as lists of common passwords spell it: one case, one width, no blanks around it."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _folded(text: str) -> str:
    """Return `text` in one case and without accents, as people bend their own names."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(each for each in decomposed if not unicodedata.combining(each))


def _words(email: Email, name: str) -> list[str]:
    address, person = _folded(email.key), _folded(name)
    local, _, domain = address.rpartition("@")
    words = {address, local, person, *WORD_BREAK.split(local), *WORD_BREAK.split(person)}
    words = {word for word in words if len(word) >= MIN_WORD}
    # Without the top-level domain: "income99" is not made of "com".
    words |= {label for label in domain.split(".")[:-1] if len(label) >= MIN_DOMAIN_WORD}
    # Longest first: "johnson" must be gone before "john" is cut out of it.
    return sorted(words, key=len, reverse=True)


def is_made_of(password: str, *, email: Email, name: str) -> bool:
    """True if little but digits and signs is left of `password` without the owner's name and address."""
    whole = left = _folded(password)
    for word in _words(email, name):
        left = left.replace(word, "")
    # Letters of any alphabet count, and so do signs beyond ASCII such as emoji.
    own = sum(each.isalpha() or not each.isascii() for each in left)
    return left != whole and own < MIN_OWN_LETTERS

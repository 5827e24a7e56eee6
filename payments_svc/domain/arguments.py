"""What every argument from outside has to pass before a rule looks at it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from lib.errors import Invalid


class BadArgument(Invalid):
    """One argument breaks a rule; `pointer` says which, as a JSON pointer into the request."""

    code = "invalid_argument"

    def __init__(self, message: str, pointer: str, **details: Any) -> None:
        error = {"pointer": pointer, "code": self.code, "detail": message}
        super().__init__(message, errors=[error], **details)


class InvalidText(BadArgument):
    code = "invalid_text"


class InvalidUserId(BadArgument):
    code = "invalid_user_id"


def checked_text(value: object, pointer: str, *, longest: int) -> str:
    """Return `value` if it is a text of 1 to `longest` characters that a database can keep."""
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise InvalidText(f"a text of 1 to {longest} characters is needed", pointer)
    # PostgreSQL cannot store NUL, and UTF-8 cannot write half of a surrogate pair.
    if any(each == "\0" or "\ud800" <= each <= "\udfff" for each in value):
        raise InvalidText("the text holds a character that cannot be stored", pointer)
    return value


def parse_id(value: object) -> UUID | None:
    """Return the id that `value` writes in its usual form, or None."""
    if not isinstance(value, str):
        return None
    try:
        parsed = UUID(value)
    except ValueError:
        return None
    # UUID() also reads braces, URNs and misplaced dashes; one id has one spelling here.
    return parsed if str(parsed) == value.lower() else None


def parse_user_id(value: object) -> UUID:
    """Return the account id that `value` writes."""
    parsed = parse_id(value)
    if parsed is None:
        raise InvalidUserId("the user id is a UUID", "/user_id")
    return parsed

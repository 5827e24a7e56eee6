"""Why an administrator does something to somebody's account: kept with what was done."""

from __future__ import annotations

import unicodedata

from auth_svc.domain.account import DIRECTION_CONTROLS, NOT_IN_NAMES
from auth_svc.domain.text import UnreadableError, nfc
from lib.errors import Invalid

MAX_REASON = 500


class InvalidReason(Invalid):
    code = "invalid_reason"

    def __init__(self) -> None:
        detail = f"a reason has 1 to {MAX_REASON} characters and no control characters but line breaks"
        super().__init__(detail, errors=[{"pointer": "/reason", "code": self.code, "detail": detail}])


def proper_reason(text: object) -> str:
    """Return a reason, composed and without blanks around it; raise `InvalidReason`."""
    try:
        reason = nfc(text, at_most=MAX_REASON).strip()
    except UnreadableError as exc:
        raise InvalidReason from exc
    if not 1 <= len(reason) <= MAX_REASON or any(_is_control(each) for each in reason):
        raise InvalidReason
    return reason


def _is_control(character: str) -> bool:
    return character != "\n" and (unicodedata.category(character) in NOT_IN_NAMES or character in DIRECTION_CONTROLS)

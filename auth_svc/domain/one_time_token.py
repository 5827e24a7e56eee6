"""Tokens that work once: they stand in a mail, and whoever has one reads that mailbox.

A token is a function of the server's key and of the event that asked for the mail, so that a mail that is sent again
after a crash holds the same one. Only hashes are stored. There is one row for each purpose: a newer token takes the
older one's place.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from lib.errors import Invalid

Purpose = Literal["verification", "claim", "password_reset", "email_change", "email_revert"]

MAX_TRIES = 5

LIFETIMES: dict[Purpose, timedelta] = {
    "verification": timedelta(hours=24),
    "claim": timedelta(days=30),
    "password_reset": timedelta(hours=1),
    "email_change": timedelta(hours=1),
    # Whoever took an account over counts on its owner not reading mail for a while.
    "email_revert": timedelta(days=7),
}


class InvalidToken(Invalid):
    """Unknown, replaced by a newer one, used, or too old: which of these is nobody's business."""

    code = "invalid_or_expired_token"

    def __init__(self) -> None:
        super().__init__("this link is not valid (any more); ask for a new one")


class InvalidCode(Invalid):
    code = "invalid_code"

    def __init__(self) -> None:
        super().__init__("this code is wrong or not valid any more; ask for a new one")


@dataclass(eq=False, kw_only=True)
class OneTimeToken:
    """What is kept of a token.

    :param slot: where it stands among the account's tokens; a newer one in the same slot takes its place
    :param reference: the e-mail change that it belongs to
    :param target: the key of the address whose mailbox it proves
    :param minted_by: the event that asked for it; a later one's id is greater
    :param code_hash: of the short code in the same mail, if there is one
    :param tries: how often a wrong code was given
    """

    account_id: UUID
    slot: str
    purpose: Purpose
    target: str
    minted_by: UUID
    token_hash: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime
    reference: UUID | None = None
    code_hash: bytes | None = field(default=None, repr=False)
    tries: int = 0
    used_at: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        """True if it was not used and is not too old."""
        return self.used_at is None and now < self.expires_at

    def use(self, now: datetime, *, target: str) -> None:
        """Take the token; raise `InvalidToken` if it does not work.

        :param target: the key of the address that it has to prove by now
        """
        if not self.is_good(now) or self.target != target:
            raise InvalidToken
        self.used_at = now

    def use_code(self, code_hash: bytes, now: datetime, *, target: str) -> None:
        """Take the short code instead; a wrong one counts, so the change is to be saved although this raises."""
        if self.code_hash is None or not self.is_good(now) or self.target != target:
            raise InvalidCode
        if self.tries >= MAX_TRIES:
            raise InvalidCode
        if not hmac.compare_digest(self.code_hash, code_hash):
            self.tries += 1
            raise InvalidCode
        self.used_at = now


def slot_of(purpose: Purpose, reference: UUID | None) -> str:
    """Return where a token stands: the way back from an e-mail change outlives the next change."""
    return f"{purpose}:{reference}" if purpose == "email_revert" else purpose

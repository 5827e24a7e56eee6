"""What the use cases about handles need from the world."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Handles(Protocol):
    """Part of the unit of work: whose handles are whose, by what all have in common that look alike (`Handle.key`)."""

    def holder(self, key: str, *, retired_after: datetime) -> UUID | None:
        """Return who has the handle, or else who has given it up after that moment; None if it is free.

        A handle that is free here may be taken on commit, by somebody who was faster: `HandleTaken` then.
        """

    def move(self, user_id: UUID, *, given_up: str | None, taken: str | None, now: datetime) -> None:
        """Note on commit that somebody has given up one handle, and that another one is in use again.

        Of those that one person has given up, only the last one is kept from others.
        """

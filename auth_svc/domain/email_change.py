"""The move of an account to another address: asked for, confirmed from the new mailbox, undone from the old one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from auth_svc.domain.email import Email


@dataclass(eq=False, kw_only=True)
class EmailChange:
    """:param ended_at: when it was undone, or a newer change took its place before it was confirmed"""

    id: UUID
    account_id: UUID
    old_email: Email
    new_email: Email
    requested_at: datetime
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_pending(self) -> bool:
        return self.confirmed_at is None and self.ended_at is None

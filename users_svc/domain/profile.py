"""A person as the others know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from lib.aggregate import Aggregate
from lib.errors import NotFound
from users_svc.domain.text import fitted_name

PUBLIC_FIELDS = ("id", "handle", "display_name", "avatar_url", "created_at")
"""What everybody may see of a profile, signed in or not. A new field is private until it is named here."""


class UserNotFound(NotFound):
    code = "user_not_found"


def parse_user_id(value: object) -> UUID:
    """Return the id of a user; what cannot be one is the id of nobody, so a caller cannot tell the two apart."""
    try:
        user_id = UUID(value) if isinstance(value, str) else None
    except ValueError:
        user_id = None
    # UUID() also reads braces, a URN and missing dashes; one user has one id, so only its usual form counts.
    if user_id is None or str(user_id) != str(value).lower():
        raise UserNotFound("there is no such user")
    return user_id


@dataclass(eq=False, repr=False)
class Profile(Aggregate):
    """One per account, under the account's id.

    ``email`` belongs to the account and follows its events; the rest is the owner's from the opening on, the name too.
    ``source_sequence`` is the number of the account's last event that was applied, 0 while none was.
    """

    id: UUID
    email: str
    display_name: str
    created_at: datetime
    updated_at: datetime
    handle: str | None = None
    bio: str | None = None
    avatar_url: str | None = None
    location: str | None = None
    website: str | None = None
    birth_date: date | None = None
    locale: str | None = None
    time_zone: str | None = None
    discoverable: bool = True
    source_sequence: int = 0
    sequence: int = 0

    def __repr__(self) -> str:
        # Profiles end up in tracebacks and logs; the rest of their fields is personal.
        return f"<Profile {self.id}>"

    @classmethod
    def open(cls, user_id: UUID, *, email: str, name: str, now: datetime) -> Self:
        """Make the profile of an account that exists."""
        return cls(id=user_id, email=email, display_name=fitted_name(name), created_at=now, updated_at=now)

    def follow_account(self, *, email: str, sequence: int, now: datetime) -> None:
        """Take over what the account's event number `sequence` says, unless a newer one has spoken already.

        :param sequence: counts the events of one account from 1; the broker may deliver them in any order
        """
        if sequence <= self.source_sequence:
            return
        self.source_sequence = sequence
        if email != self.email:
            self.email, self.updated_at = email, now

    def fields(self) -> dict[str, Any]:
        """Return everything that is known, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def public_view(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return what everybody may see of a profile's fields."""
    return {name: profile[name] for name in PUBLIC_FIELDS}

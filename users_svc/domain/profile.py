"""A person as the others know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from lib.aggregate import Aggregate
from lib.errors import NotFound
from users_svc.domain.account_state import AccountState
from users_svc.domain.text import fitted_name, folded

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

    ``email`` and ``disabled`` belong to the account and follow it (`AccountState`). The rest is the owner's from the
    opening on; the name follows the account until the owner chooses another one.

    :param disabled: the account may not be used, and the profile is hidden
    :param handle_key: what all handles have in common that look like this one
    :param visibility: who may see a field, where its owner has chosen that
    :param private: followers have to be accepted
    :param findable_by_email: who knows the address may find the profile by it
    :param email_key: the address as it is compared
    :param search_text: what a search looks through: only what everybody may see
    :param search_name: the name alone, as it is compared
    :param search_handle: the handle alone
    :param version: counts the changes of the row
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
    disabled: bool = False
    sequence: int = 0
    handle_key: str | None = None
    handle_changed_at: datetime | None = None
    visibility: dict[str, str] = field(default_factory=dict)
    private: bool = False
    findable_by_email: bool = False
    email_key: str | None = field(default=None, repr=False)
    search_text: str = ""
    search_name: str = ""
    search_handle: str = ""
    version: int = 1

    def __repr__(self) -> str:
        # Profiles end up in tracebacks and logs; the rest of their fields is personal.
        return f"<Profile {self.id}>"

    @classmethod
    def open(cls, user_id: UUID, *, email: str, name: str, now: datetime, disabled: bool = False) -> Self:
        """Make the profile of an account that exists."""
        profile = cls(
            id=user_id,
            email=email,
            display_name=fitted_name(name),
            disabled=disabled,
            created_at=now,
            updated_at=now,
        )
        profile.index()
        return profile

    def index(self) -> None:
        """Bring up to date what the profile is searched by; every change ends with it."""
        self.search_handle = self._searched("handle", self.handle)
        self.search_name = self._searched("display_name", self.display_name)
        self.search_text = f"{self.search_handle} {self.search_name}".strip()
        self.email_key = folded(self.email)

    def _searched(self, name: str, text: str | None) -> str:
        return folded(text) if text and self.visibility.get(name, "public") == "public" else ""

    def follow(self, account: AccountState, *, called: str | None, now: datetime) -> None:
        """Take over what is known of the account.

        :param called: the account's name until now; a profile with another one has it from its owner, and keeps it
        """
        email = account.email or self.email
        name = account.name if account.name and self.display_name == called else self.display_name
        if (email, name) != (self.email, self.display_name):
            self.email, self.display_name, self.updated_at = email, name, now
            self.index()
        self.disabled = account.disabled

    def fields(self) -> dict[str, Any]:
        """Return everything that is known, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def public_view(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return what everybody may see of a profile's fields."""
    return {name: profile[name] for name in PUBLIC_FIELDS}


def is_shown(profile: Mapping[str, Any], *, viewer_id: str | None, sees_disabled: bool) -> bool:
    """Tell whether a viewer may know of the profile at all; the owner always may.

    :param viewer_id: the viewer's account; None for somebody who is not signed in
    :param sees_disabled: the viewer may see the profiles of disabled accounts
    """
    return not profile["disabled"] or sees_disabled or str(profile["id"]) == viewer_id

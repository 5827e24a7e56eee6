"""A person as the others know them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Self
from uuid import UUID

from lib.aggregate import Aggregate
from lib.errors import NotFound
from users_svc.domain.account_state import AccountState
from users_svc.domain.handle import COOL_DOWN, Handle, HandleChangedRecently, HandleTaken
from users_svc.domain.profile_edit import ProfileEdit
from users_svc.domain.text import MAX_NAME, address_key, fitted_name, folded
from users_svc.domain.visibility import DEFAULT_AUDIENCES, may_see

_EDITED = (*DEFAULT_AUDIENCES, "visibility", "discoverable", "private", "findable_by_email")


class UserNotFound(NotFound):
    code = "user_not_found"


@dataclass(frozen=True)
class ProfileUpdated:
    """An owner changed a profile, or the name came from the account.

    It leaves the house, so it says what has changed and not into what, but for what everybody may see.

    :param changed: names of fields, sorted
    :param handle: None also if not everybody may see it; so is ``display_name``
    """

    type: ClassVar[str] = "user.profile.updated"
    schema_version: ClassVar[int] = 1
    id: str
    changed: list[str]
    handle: str | None
    display_name: str | None


class SearchIndex(NamedTuple):
    """What a profile is searched by."""

    search_handle: str
    search_name: str
    search_text: str

    @classmethod
    def of(cls, handle: str | None, name: str | None) -> Self:
        """Make it of what everybody may see; None for the rest."""
        # Folding can make a text longer.
        plain_handle, plain_name = folded(handle or ""), folded(name or "")[:MAX_NAME]
        return cls(plain_handle, plain_name, f"{plain_handle} {plain_name}".strip())


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
    :param email_key: the address as it is compared; None as long as nobody has shown to read its mail
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
    def open(cls, user_id: UUID, *, email: str, name: str, now: datetime) -> Self:
        """Make the profile of an account that exists."""
        profile = cls(
            id=user_id,
            email=email,
            display_name=fitted_name(name),
            created_at=now,
            updated_at=now,
        )
        profile.index()
        return profile

    def index(self) -> None:
        """Bring up to date what the profile is searched by; every change ends with it."""
        found = SearchIndex.of(self._public("handle"), self._public("display_name"))
        self.search_handle, self.search_name, self.search_text = found

    def _public(self, name: str) -> str | None:
        """Return a text if everybody may see it."""
        return getattr(self, name) if may_see(self.visibility, name, "anonymous") else None

    def edit(self, edit: ProfileEdit, *, holder: UUID | None, now: datetime) -> None:
        """Change what its owner wants changed; what is so already is no change.

        :param holder: who has the new handle or one like it, or has given it up not long ago; None if that is nobody
        :raises HandleTaken:
        :raises HandleChangedRecently:
        """
        before = self.fields()
        if edit.sets_handle:
            self._take(edit.handle, holder=holder, now=now)
        for name, value in edit.values.items():
            setattr(self, name, value)
        self.visibility = edit.audiences(self.visibility)
        after = self.fields()
        changed = sorted(name for name in _EDITED if before[name] != after[name])
        if changed:
            self.updated_at = now
            self.index()
            self._tell(changed)

    def _tell(self, changed: list[str]) -> None:
        self.record(ProfileUpdated(str(self.id), changed, self._public("handle"), self._public("display_name")))

    def _take(self, handle: Handle | None, *, holder: UUID | None, now: datetime) -> None:
        text, key = (handle.text, handle.key) if handle else (None, None)
        if key != self.handle_key:
            if holder not in (None, self.id):
                raise HandleTaken
            # To give one up is always possible. To go back to the old one is a change like every other: somebody who
            # went to and fro would keep ever more handles from everybody else.
            if key is not None:
                self._check_cool_down(now)
                self.handle_changed_at = now
        self.handle, self.handle_key = text, key

    def _check_cool_down(self, now: datetime) -> None:
        left = timedelta(0) if self.handle_changed_at is None else self.handle_changed_at + COOL_DOWN - now
        if left > timedelta(0):
            raise HandleChangedRecently(
                f"a handle can be changed every {COOL_DOWN.days} days", retry_after=math.ceil(left.total_seconds())
            )

    def follow(self, account: AccountState, *, called: str | None, now: datetime) -> None:
        """Take over what is known of the account.

        :param called: the account's name until now; a profile with another one has it from its owner, and keeps it
        """
        email = account.email or self.email
        name = account.name if account.name and self.display_name == called else self.display_name
        if (email, name) != (self.email, self.display_name):
            was_called = self.display_name
            self.email, self.display_name, self.updated_at = email, name, now
            self.index()
            if name != was_called:
                self._tell(["display_name"])
        self.disabled = account.disabled
        self.email_key = address_key(email) if account.email_verified else None

    def fields(self) -> dict[str, Any]:
        """Return everything that is known, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def is_shown(profile: Mapping[str, Any], *, viewer_id: str | None, sees_disabled: bool) -> bool:
    """Tell whether a viewer may know of the profile at all; the owner always may.

    :param viewer_id: the viewer's account; None for somebody who is not signed in
    :param sees_disabled: the viewer may see the profiles of disabled accounts
    """
    return not profile["disabled"] or sees_disabled or str(profile["id"]) == viewer_id

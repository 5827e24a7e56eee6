"""What an owner wants changed in a profile, checked as a whole before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Self

from lib.errors import Invalid, Stale
from users_svc.domain.handle import Handle
from users_svc.domain.profile_fields import (
    Unacceptable,
    parse_bio,
    parse_birth_date,
    parse_display_name,
    parse_locale,
    parse_location,
    parse_switch,
    parse_time_zone,
    parse_url,
    parse_visibility,
    pointer_to,
)


class InvalidProfile(Invalid):
    """Some values cannot stand in a profile; ``errors`` has all of them."""

    code = "invalid_profile"


class ProfileChanged(Stale):
    """The profile has changed since the version that the change was meant for."""

    code = "stale"

    def __init__(self) -> None:
        super().__init__("this has changed since it was read; read it again")


#: what a field is without its owner's doing; the others are empty then
_UNSET: dict[str, Any] = {"discoverable": True, "private": False, "findable_by_email": False, "visibility": {}}
_NEEDED = frozenset({"display_name"})
_PARSERS: dict[str, Callable[[object], Any]] = {
    "handle": Handle.parse,
    "display_name": parse_display_name,
    "bio": parse_bio,
    "avatar_url": parse_url,
    "location": parse_location,
    "website": parse_url,
    "locale": parse_locale,
    "time_zone": parse_time_zone,
    "discoverable": parse_switch,
    "private": parse_switch,
    "findable_by_email": parse_switch,
    "visibility": parse_visibility,
}


@dataclass(frozen=True)
class ProfileEdit:
    """New values by field, as they are kept: a merge patch (RFC 7396), in which null is now what a field is by itself.

    :param handle: None to be without one; it counts only if `sets_handle`
    :param visibility: audiences by field, None for the usual one; a patch of its own, unless `clears_visibility`
    """

    values: Mapping[str, Any]
    sets_handle: bool = False
    handle: Handle | None = None
    visibility: Mapping[str, str | None] | None = None
    clears_visibility: bool = False

    @classmethod
    def of(cls, changes: object, *, today: date) -> Self:
        """Read what an owner sends.

        :raises InvalidProfile: with all that is wrong
        """
        if not isinstance(changes, Mapping):
            raise _invalid([{"pointer": "", "code": "invalid_type", "detail": "expected an object"}])
        values: dict[str, Any] = {}
        errors = []
        for name, value in changes.items():
            try:
                values[name] = _read(name, value, today)
            except Unacceptable as exc:
                errors.append({"pointer": pointer_to(name) + exc.pointer, "code": exc.code, "detail": exc.detail})
        if errors:
            raise _invalid(errors)
        sets_handle, handle = "handle" in values, values.pop("handle", None)
        visibility = values.pop("visibility", None)
        return cls(
            values,
            sets_handle=sets_handle,
            handle=handle,
            visibility=visibility,
            clears_visibility=visibility is not None and changes["visibility"] is None,
        )

    def audiences(self, chosen: Mapping[str, str]) -> dict[str, str]:
        """Return who sees which field after this, of those that the owner has chosen."""
        merged = {**({} if self.clears_visibility else chosen), **(self.visibility or {})}
        return {name: audience for name, audience in merged.items() if audience is not None}


def _invalid(errors: list[dict[str, str]]) -> InvalidProfile:
    return InvalidProfile("this cannot stand in a profile", errors=errors)


def _read(name: str, value: object, today: date) -> Any:
    parse = partial(parse_birth_date, today=today) if name == "birth_date" else _PARSERS.get(name)
    if parse is None:
        raise Unacceptable("unknown_field", "there is no such field here")
    if value is None:
        if name in _NEEDED:
            raise Unacceptable("required", "nobody can be without this")
        return _UNSET.get(name)
    return parse(value)

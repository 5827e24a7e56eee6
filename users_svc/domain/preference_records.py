"""Records of what a person has chosen: typed, with defaults, changed by merge patches (RFC 7396).

A record keeps only what its owner has chosen, so that a default can still become a better one for everybody else. What
it keeps and nobody understands (it may come from a newer version of this service) is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from lib.errors import Invalid, Stale

Check = Callable[[object], Any]
"""Returns a value as it is kept; raises `Refused`."""

MOST_ERRORS = 100
LONGEST_NAME = 100


class InvalidPreference(Invalid):
    """A value is of the wrong type, or none of those that there are; ``errors`` says where."""

    code = "invalid_preference"


class UnknownField(Invalid):
    code = "unknown_field"


class NotOptional(Invalid):
    """It is not for the person to choose."""

    code = "not_optional"


class PreferencesChanged(Stale):
    """Somebody has changed the record since it was read."""


class Refused(Exception):
    """A value is not what it should be.

    :param code: for programs
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True)
class Choice:
    """One value of a record.

    :param fixed: the default is all there is: it may be sent, as a client does that sends back what it has read, but
        nothing else may
    """

    default: Any
    check: Check
    fixed: bool = False


Shape = Mapping[str, "Choice | Shape"]
Upgrade = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """What a record of one kind consists of.

    :param schema_version: grows when what is kept changes its meaning
    :param upgrades: by version, what makes of a record's choices those of the next version
    """

    name: str
    shape: Shape
    schema_version: int = 1
    upgrades: Mapping[int, Upgrade] = field(default_factory=dict)

    def values(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Return every value: what was chosen where that still is a choice, and the default elsewhere."""
        return _values(self.shape, chosen)

    def merged(self, chosen: Mapping[str, Any], patch: object) -> dict[str, Any]:
        """Return what is chosen after a merge patch; null goes back to the default.

        :raises InvalidPreference: or `UnknownField`, `NotOptional`, after what comes first; nothing is changed then
        """
        errors: list[dict[str, str]] = []
        merged = _merged(self.shape, chosen, patch, "", errors)
        if errors:
            refusal = {each.code: each for each in (UnknownField, NotOptional)}.get(errors[0]["code"])
            raise (refusal or InvalidPreference)(errors[0]["detail"], errors=errors[:MOST_ERRORS])
        return merged


@dataclass(eq=False)
class PreferenceRecord:
    """One person's record of one kind.

    :param version: counts its changes; 0 for a person who never changed anything
    """

    user_id: UUID
    kind: Kind
    chosen: dict[str, Any] = field(default_factory=dict, repr=False)
    schema_version: int = 1
    version: int = 0
    updated_at: datetime | None = None

    def __post_init__(self) -> None:
        while self.schema_version < self.kind.schema_version:
            self.chosen = self.kind.upgrades[self.schema_version](self.chosen)
            self.schema_version += 1

    def values(self) -> dict[str, Any]:
        """Return every value of the record."""
        return self.kind.values(self.chosen)

    def change(self, patch: object, *, now: datetime, expected_version: int | None = None) -> bool:
        """Take over a merge patch; tell whether that changed anything.

        :param expected_version: of the record that the person decided on; None: whatever it is
        :raises PreferencesChanged: it has another version
        """
        if expected_version is not None and expected_version != self.version:
            raise PreferencesChanged("this has been changed since you read it")
        merged = self.kind.merged(self.chosen, patch)
        if merged == self.chosen:
            return False
        self.chosen, self.version, self.updated_at = merged, self.version + 1, now
        return True


def _values(shape: Shape, chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(each, chosen.get(name)) for name, each in shape.items()}


def _value(part: Choice | Shape, chosen: object) -> Any:
    if not isinstance(part, Choice):
        return _values(part, chosen if isinstance(chosen, Mapping) else {})
    if part.fixed or chosen is None:
        return part.default
    try:
        return part.check(chosen)
    except Refused:
        return part.default


def _merged(
    shape: Shape, chosen: Mapping[str, Any], patch: object, pointer: str, errors: list[dict[str, str]]
) -> dict[str, Any]:
    merged = dict(chosen)
    if not isinstance(patch, Mapping):
        errors.append(_error(pointer, "invalid_type", "expected an object"))
        return merged
    for name, wanted in patch.items():
        if len(errors) >= MOST_ERRORS:
            break
        here = f"{pointer}/{_escaped(name)}"
        part = shape.get(name) if isinstance(name, str) else None
        if part is None:
            errors.append(_error(here, UnknownField.code, "there is no such field here"))
        elif wanted is None:
            merged.pop(name, None)
        elif isinstance(part, Choice):
            merged.update(_chosen(part, name, wanted, here, errors))
        else:
            kept = merged.get(name)
            inner = _merged(part, kept if isinstance(kept, Mapping) else {}, wanted, here, errors)
            merged.pop(name, None)
            merged.update({name: inner} if inner else {})
    return merged


def _chosen(part: Choice, name: str, wanted: object, pointer: str, errors: list[dict[str, str]]) -> dict[str, Any]:
    try:
        value = part.check(wanted)
    except Refused as exc:
        errors.append(_error(pointer, exc.code, str(exc)))
        return {}
    if not part.fixed:
        return {name: value}
    if value != part.default:
        errors.append(_error(pointer, NotOptional.code, "this is not for you to choose"))
    return {}


def _error(pointer: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "code": code, "detail": detail}


def _escaped(name: object) -> str:
    """Return a member's name as part of a JSON pointer (RFC 6901), cut if somebody plays with it."""
    return str(name)[:LONGEST_NAME].replace("~", "~0").replace("/", "~1")


# --- what values can be ---


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Refused("invalid_type", "expected true or false")
    return value


def word(*allowed: str) -> Check:
    """One of a few words."""

    def check(value: object) -> str:
        if text(value) not in allowed:
            raise Refused("unknown_value", f"one of {', '.join(allowed)}")
        return text(value)

    return check


def whole(least: int, most: int) -> Check:
    """A whole number from `least` to `most`."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused("invalid_type", "expected a whole number")
        if not least <= value <= most:
            raise Refused("out_of_range", f"from {least} to {most}")
        return value

    return check


def text(value: object) -> str:
    """Any text; for the other checks."""
    if not isinstance(value, str):
        raise Refused("invalid_type", "expected a string")
    return value

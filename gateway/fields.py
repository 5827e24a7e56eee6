"""The fields of load schemas: shape only (required, type, length). Rules are the services' business.

marshmallow's own fields guess: they take ``"12"`` for a number and ``1`` for true. These do not. Each message starts
with a code for programs, as in ``too_long: at most 254 characters``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from marshmallow import RAISE, Schema, ValidationError, fields, validate

SAFE_INTEGER = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""

MAX_MEMBERS = 100
"""Of an object, at most."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

Messages = dict[str, str | list[Any] | dict[Any, Any]]

_COMMON: Messages = {"required": "required: this is needed", "null": "required: null is no value for this"}
_SHAPE = {"unknown": "unknown_field: there is no such field here"}
_TEXT: Messages = {
    **_COMMON,
    "invalid": "invalid_type: expected a string",
    "unstorable": "invalid_characters: this holds a character that cannot be stored",
}
_WHOLE: Messages = {
    **_COMMON,
    "invalid": "invalid_type: expected a whole number",
    "range": "out_of_range: this is not a number that can be worked with",
}
_FLAG: Messages = {**_COMMON, "invalid": "invalid_type: expected true or false"}
_OBJECT: Messages = {**_COMMON, "invalid": "invalid_type: expected an object"}
_LIST: Messages = {**_COMMON, "invalid": "invalid_type: expected a list"}


class Shape(Schema):
    """Base of the load schemas: what is not known is refused."""

    class Meta:
        unknown = RAISE

    error_messages = _SHAPE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        plain = all(type(each) is Text and each.plain for each in self.load_fields.values())
        as_made = not (self.many or self.partial or any(self._hooks.values())) and self.unknown == RAISE
        texts = cast(Mapping[str, Text], self.load_fields)
        self._texts = texts if plain and as_made else None

    def load(self, data: Any, **kwargs: Any) -> Any:
        """Load as marshmallow does; texts that are all good, which is nearly every request, without its machinery."""
        found = None if kwargs or self._texts is None else _good(self._texts, data)
        return super().load(data, **kwargs) if found is None else found


def _good(texts: Mapping[str, Text], data: Any) -> dict[str, str] | None:
    """Return the data if nothing is wrong with it; None if marshmallow has to say what that is."""
    if type(data) is not dict:
        return None
    found = {}
    for name, text in texts.items():
        value = data.get(name)
        if type(value) is str and text.shortest <= len(value) <= text.longest and not _UNSTORABLE.search(value):
            found[name] = value
        elif text.required:
            return None
    return found if len(found) == len(data) else None


class Text(fields.String):
    """A string that a database can keep.

    :param longest: in characters
    :param shortest: in characters
    """

    default_error_messages = _TEXT

    def __init__(self, *, longest: int, shortest: int = 0, **kwargs: Any) -> None:
        checks = [validate.Length(max=longest, error="too_long: at most {max} characters")]
        if shortest:
            checks.append(validate.Length(min=shortest, error="too_short: at least {min} characters"))
        super().__init__(validate=checks, **kwargs)
        self.longest, self.shortest = longest, shortest
        #: whether a good value is loaded as it stands, under its own name, and nothing in the place of none
        self.plain = not kwargs.keys() - {"required", "load_only", "metadata"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if _UNSTORABLE.search(value):
            raise self.make_error("unstorable")
        return value


class Choice(Text):
    """One of a few words."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        super().__init__(longest=max(map(len, words)), **kwargs)
        self.validators = [validate.OneOf(words, error="unknown_value: one of {choices}")]


class Whole(fields.Integer):
    """A whole number, written as one: neither 1.0 nor "1" nor true."""

    default_error_messages = _WHOLE

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid")
        if abs(value) > SAFE_INTEGER:
            raise self.make_error("range")
        return value


class Flag(fields.Boolean):
    """True or false, and nothing that could mean one of them."""

    default_error_messages = _FLAG

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class QueryWhole(fields.Integer):
    """A whole number of the query string, in plain digits."""

    default_error_messages = _WHOLE

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,15}", value):
            raise self.make_error("invalid")
        return int(value)


class Texts(fields.Dict):
    """An object whose values are strings, as `metadata` is."""

    default_error_messages = _OBJECT

    def __init__(self, *, most: int, longest_key: int, longest_value: int, **kwargs: Any) -> None:
        self._most, self._longest_key = most, longest_key
        self._value = Text(longest=longest_value)
        kwargs["metadata"] = {
            "maxProperties": most,
            "propertyNames": {"minLength": 1, "maxLength": longest_key},
            "additionalProperties": {"type": "string", "maxLength": longest_value},
            **kwargs.get("metadata", {}),
        }
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        if len(value) > self._most:
            raise ValidationError(f"too_long: at most {self._most} keys")
        # Keys are not repeated in the answer: a key may be what should not have been sent.
        for key, each in value.items():
            if not 1 <= len(key) <= self._longest_key or _UNSTORABLE.search(key):
                raise ValidationError(f"invalid_key: a key has 1 to {self._longest_key} characters")
            try:
                self._value.deserialize(each)
            except ValidationError as exc:
                raise ValidationError(exc.messages) from exc
        return value


class Many(fields.List[Any]):
    """A list of what another field describes."""

    default_error_messages = _LIST

    def __init__(self, each: fields.Field[Any], *, most: int, **kwargs: Any) -> None:
        super().__init__(each, validate=validate.Length(max=most, error="too_long: at most {max} items"), **kwargs)


class Part(fields.Nested):
    """An object inside of a merge patch; null is all of it as it was at first."""

    def __init__(self, shape: type[Schema], **kwargs: Any) -> None:
        super().__init__(shape, allow_none=True, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("invalid_type: expected an object")
        if len(value) > MAX_MEMBERS:
            raise ValidationError(f"too_long: at most {MAX_MEMBERS} members")
        return super()._deserialize(value, *args, **kwargs)


MAX_EMAIL, MAX_PASSWORD, MAX_NAME, MAX_TOKEN, MAX_CODE, MAX_CURSOR = 254, 1024, 200, 1024, 32, 512


def email_field() -> Text:
    """Return the field of an e-mail address."""
    return Text(required=True, longest=MAX_EMAIL, metadata={"format": "email"})


def password_field() -> Text:
    """Return the field of a password that is there already."""
    return Text(required=True, load_only=True, longest=MAX_PASSWORD, metadata={"format": "password"})


def new_password_field() -> Text:
    """Return the field of a password that somebody chooses."""
    told = "8 to 128 characters of any kind; common ones are refused"
    metadata = {"format": "password", "minLength": 8, "description": told}
    return Text(required=True, load_only=True, longest=MAX_PASSWORD, metadata=metadata)


def mailed_token_field(*, required: bool = True) -> Text:
    """Return the field of a token out of a mail's link."""
    told = "What follows `#token=` in the mail's link"
    return Text(required=required, load_only=True, longest=MAX_TOKEN, metadata={"description": told})


def page_size(most: int = 100, default: int = 20) -> fields.Integer:
    """Return the field of ``?limit=``."""
    return QueryWhole(
        load_default=default,
        validate=validate.Range(min=1, max=most, error="out_of_range: from {min} to {max}"),
        metadata={"description": f"How many at most, from 1 to {most}", "example": default},
    )


class PageQuery(Shape):
    """The query string of a list."""

    limit = page_size()
    cursor = Text(longest=MAX_CURSOR, metadata={"description": "`next_cursor` of the page before"})

"""What callers get to read: primitives only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from marshmallow import Schema, fields

from lib.ids import rfc3339


class Moment(fields.Field[datetime]):
    """A time as ``2026-01-31T12:00:00Z``."""

    def _serialize(self, value: datetime | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else rfc3339(value)


class RelationshipSchema(Schema):
    id = fields.UUID()
    following = fields.Boolean()
    followed_by = fields.Boolean()
    requested = fields.Boolean()
    requested_by = fields.Boolean()
    blocking = fields.Boolean()
    muting = fields.Boolean()


class ProfileSchema(Schema):
    """The fields of a profile that are there; a view that leaves some out comes out without them."""

    id = fields.UUID()
    email = fields.String()
    handle = fields.String()
    display_name = fields.String()
    bio = fields.String()
    avatar_url = fields.String()
    location = fields.String()
    website = fields.String()
    birth_date = fields.Date()
    locale = fields.String()
    time_zone = fields.String()
    visibility = fields.Dict(keys=fields.String(), values=fields.String())
    discoverable = fields.Boolean()
    findable_by_email = fields.Boolean()
    private = fields.Boolean()
    created_at = Moment()
    updated_at = Moment()
    version = fields.Integer()


class OwnProfileSchema(ProfileSchema):
    followers_count = fields.Integer()
    following_count = fields.Integer()


class UserSchema(Schema):
    """What a viewer sees of a user, beside the fields of the profile."""

    followers_count = fields.Integer()
    following_count = fields.Integer()
    relationship = fields.Nested(RelationshipSchema, allow_none=True)


class CreatedUserSchema(Schema):
    id = fields.UUID()
    email = fields.String()
    name = fields.String(attribute="display_name")


class DayStatisticsSchema(Schema):
    day = fields.Date()
    registrations = fields.Integer()


# Made once: a schema copies all of its fields when it is made, which costs more than to dump one object.
CREATED_USER, PROFILE, DAY_STATISTICS = CreatedUserSchema(), ProfileSchema(), DayStatisticsSchema()
OWN_PROFILE, USER, RELATIONSHIP = OwnProfileSchema(), UserSchema(), RelationshipSchema()

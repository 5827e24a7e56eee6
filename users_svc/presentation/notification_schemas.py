"""What callers get to read about notifications: primitives only."""

from __future__ import annotations

from marshmallow import Schema, fields

from users_svc.presentation.schemas import Moment


class ActorSchema(Schema):
    id = fields.UUID()
    handle = fields.String()
    display_name = fields.String()
    avatar_url = fields.String()


class NotificationSchema(Schema):
    id = fields.UUID()
    number = fields.Integer()
    type = fields.String()
    data = fields.Dict()
    actor = fields.Nested(ActorSchema)
    created_at = Moment()
    read_at = Moment()


class NotificationPageSchema(Schema):
    data = fields.List(fields.Nested(NotificationSchema))
    next_cursor = fields.String()
    unread = fields.Integer()


class NotificationNewsSchema(Schema):
    data = fields.List(fields.Nested(NotificationSchema), attribute="rows")
    last = fields.Integer()
    unread = fields.Integer()


# Made once: a schema copies all of its fields when it is made, which costs more than to dump one object.
NOTIFICATION_PAGE, NOTIFICATION_NEWS = NotificationPageSchema(), NotificationNewsSchema()

"""What callers get to read: primitives only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from marshmallow import Schema, fields

from lib.ids import rfc3339


class Moment(fields.Field[datetime]):
    """A time as ``2026-01-31T12:00:00Z``; in a stored answer it is that already."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return rfc3339(value) if isinstance(value, datetime) else value


class Metadata(fields.Field[dict[str, str]]):
    """The caller's keys in one order: PostgreSQL keeps another one than the caller's."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        return dict(sorted(value.items()))


class PaymentSchema(Schema):
    id = fields.String()
    status = fields.String()
    amount = fields.Integer()
    currency = fields.String()
    amount_captured = fields.Integer()
    amount_refunded = fields.Integer()
    payment_method = fields.String()
    decline_code = fields.String()
    description = fields.String()
    metadata = Metadata()
    reference = fields.String()
    provider = fields.String()
    next_check_at = Moment()
    created_at = Moment()
    updated_at = Moment()


class RefundSchema(Schema):
    id = fields.String()
    payment_id = fields.String()
    amount = fields.Integer()
    currency = fields.String()
    status = fields.String()
    reason = fields.String()
    failure_code = fields.String()
    next_check_at = Moment()
    created_at = Moment()


class PaymentAnswerSchema(Schema):
    payment = fields.Nested(PaymentSchema, attribute="body")
    replayed = fields.Boolean()


class RefundAnswerSchema(Schema):
    refund = fields.Nested(RefundSchema, attribute="body")
    replayed = fields.Boolean()


class PaymentPageSchema(Schema):
    data = fields.List(fields.Nested(PaymentSchema))
    next_cursor = fields.String()


class RefundPageSchema(Schema):
    data = fields.List(fields.Nested(RefundSchema))
    next_cursor = fields.String()


# Made once: a schema copies all of its fields when it is made, which costs more than to dump one object.
PAYMENT, PAYMENT_ANSWER, PAYMENT_PAGE = PaymentSchema(), PaymentAnswerSchema(), PaymentPageSchema()
REFUND, REFUND_ANSWER, REFUND_PAGE = RefundSchema(), RefundAnswerSchema(), RefundPageSchema()

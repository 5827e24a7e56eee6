"""What callers get to read of the past: primitives only."""

from __future__ import annotations

from marshmallow import Schema, fields

from payments_svc.presentation.schemas import Moment, PaymentSchema, RefundSchema


class TransactionSchema(Schema):
    id = fields.String()
    type = fields.String()
    amount = fields.Integer()
    amount_decimal = fields.String()
    currency = fields.String()
    payment_id = fields.String()
    refund_id = fields.String()
    description = fields.String()
    reference = fields.String()
    created_at = Moment(attribute="posted_at")


class TransactionPageSchema(Schema):
    data = fields.List(fields.Nested(TransactionSchema))
    next_cursor = fields.String()


class AnybodysPaymentSchema(PaymentSchema):
    customer_id = fields.String()


class FoundPaymentsSchema(Schema):
    data = fields.List(fields.Nested(AnybodysPaymentSchema))
    next_cursor = fields.String()


class InspectedPaymentSchema(AnybodysPaymentSchema):
    refunds = fields.List(fields.Nested(RefundSchema))


class ActorSchema(Schema):
    kind = fields.String(attribute="actor_kind")
    id = fields.String(attribute="actor_id")


class TrailEntrySchema(Schema):
    id = fields.String()
    action = fields.String()
    actor = fields.Function(ActorSchema().dump)
    reason = fields.String()
    before = fields.String()
    after = fields.String()
    amount = fields.Integer()
    code = fields.String()
    refund_id = fields.String()
    request_id = fields.String(attribute="correlation_id")
    occurred_at = Moment()


class TrailPageSchema(Schema):
    data = fields.List(fields.Nested(TrailEntrySchema))
    next_cursor = fields.String()


TRANSACTION_PAGE, FOUND_PAYMENTS = TransactionPageSchema(), FoundPaymentsSchema()
INSPECTED_PAYMENT, TRAIL_PAGE = InspectedPaymentSchema(), TrailPageSchema()

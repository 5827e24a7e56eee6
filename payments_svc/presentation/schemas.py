"""What callers get to read: primitives only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from marshmallow import Schema, fields

from lib.ids import rfc3339
from payments_svc.domain.payment_status import PaymentStatus
from payments_svc.domain.refund import AWAITED


def _moment(value: Any) -> Any:
    return rfc3339(value) if isinstance(value, datetime) else value


class Moment(fields.Field[datetime]):
    """A time as ``2026-01-31T12:00:00Z``; in a stored answer it is that already."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return _moment(value)


class WhileOpen(Moment):
    """When the provider is asked next, while something is open there: other looks are nobody's business."""

    def _serialize(self, value: Any, attr: Any, obj: Any, **more: Any) -> Any:
        return None if obj.get("operation") is None else super()._serialize(value, attr, obj, **more)


class WhileAwaited(Moment):
    """The same of a refund: while nobody knows what has become of it."""

    def _serialize(self, value: Any, attr: Any, obj: Any, **more: Any) -> Any:
        return super()._serialize(value, attr, obj, **more) if obj["status"] in AWAITED else None


class ShownMethod(fields.Field[str]):
    """A kept means of payment by its id: its token is for the provider alone. In a stored answer it is that already."""

    def _serialize(self, value: Any, attr: Any, obj: Any, **__: Any) -> Any:  # noqa: ARG002
        kept = obj.get("payment_method_id")
        return value if kept is None else str(kept)


class WhileRequired(fields.Field[dict[str, Any]]):
    """What the customer has to do, while they have to."""

    def _serialize(self, value: Any, attr: Any, obj: Any, **__: Any) -> Any:  # noqa: ARG002
        return value if obj["status"] == PaymentStatus.REQUIRES_ACTION else None


class Metadata(fields.Field[dict[str, str]]):
    """The caller's keys in one order: PostgreSQL keeps another one than the caller's."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        return dict(sorted(value.items()))


class PendingOperation(fields.Field[Any]):
    """What is under way at the provider, or null."""

    def _serialize(self, value: Any, attr: Any, obj: Any, **__: Any) -> Any:  # noqa: ARG002
        if obj["operation"] is None:
            return None
        return {
            "type": str(obj["operation"]),
            "amount": obj["operation_amount"],
            "status": str(obj["operation_status"]),
            "next_check_at": _moment(obj["next_check_at"]),
        }


class PaymentSchema(Schema):
    id = fields.String()
    status = fields.String()
    amount = fields.Integer()
    currency = fields.String()
    capture_method = fields.String()
    amount_capturable = fields.Integer()
    amount_captured = fields.Integer()
    amount_refunded = fields.Integer()
    payment_method = ShownMethod()
    decline_code = fields.String()
    next_action = WhileRequired()
    capture_before = Moment(attribute="authorized_until")
    cancellation_reason = fields.String()
    description = fields.String()
    metadata = Metadata()
    reference = fields.String()
    provider = fields.String()
    pending_operation = PendingOperation(attribute="operation")
    next_check_at = WhileOpen()
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
    next_check_at = WhileAwaited()
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

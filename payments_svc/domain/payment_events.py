"""What other services get to know of payments. All amounts are in minor units of `currency`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class PaymentCreated:
    type: ClassVar[str] = "payment.created"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    amount: int
    currency: str


@dataclass(frozen=True)
class PaymentAuthorized:
    """`amount` is set aside and can be captured."""

    type: ClassVar[str] = "payment.authorized"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    amount: int
    currency: str


@dataclass(frozen=True)
class PaymentSucceeded:
    """`amount` is what was captured."""

    type: ClassVar[str] = "payment.succeeded"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    amount: int
    currency: str


@dataclass(frozen=True)
class PaymentFailed:
    """An attempt was declined; the payment itself can still succeed."""

    type: ClassVar[str] = "payment.failed"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    amount: int
    currency: str
    decline_code: str


@dataclass(frozen=True)
class PaymentCanceled:
    """Nothing was taken and nothing will be."""

    type: ClassVar[str] = "payment.canceled"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    amount: int
    currency: str
    reason: str


@dataclass(frozen=True)
class PaymentRefunded:
    """`amount` is this refund's, `amount_refunded` the sum of all that succeeded."""

    type: ClassVar[str] = "payment.refunded"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    refund_id: str
    amount: int
    currency: str
    amount_refunded: int


@dataclass(frozen=True)
class PaymentRefundFailed:
    """A refund did not arrive, perhaps after it was said to have succeeded; `amount` can be refunded again."""

    type: ClassVar[str] = "payment.refund_failed"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    refund_id: str
    amount: int
    currency: str
    amount_refunded: int
    failure_code: str

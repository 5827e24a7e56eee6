"""The states of a payment, and which can follow which."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class PaymentStatus(StrEnum):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


class CaptureMethod(StrEnum):
    AUTOMATIC = "automatic"
    MANUAL = "manual"


class CancellationReason(StrEnum):
    """The first four are for callers, who may abandon a payment, too; the last two are for what happens by itself."""

    REQUESTED_BY_CUSTOMER = "requested_by_customer"
    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    ABANDONED = "abandoned"
    EXPIRED = "expired"
    PROVIDER = "provider"


class Operation(StrEnum):
    """What may be under way at the provider; one at a time for each payment, beside its refunds."""

    CHARGE = "charge"
    AUTHENTICATE = "authenticate"
    CAPTURE = "capture"
    CANCEL = "cancel"


class OperationStatus(StrEnum):
    """``pending``: asked, no answer so far. ``accepted``: the provider is at it. ``unknown``: it may have happened."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"


P = PaymentStatus
# What the provider may say of a charge that is open.
_SETTLED = {P.SUCCEEDED, P.REQUIRES_CAPTURE, P.REQUIRES_ACTION, P.REQUIRES_PAYMENT_METHOD, P.CANCELED}

TRANSITIONS: Mapping[PaymentStatus, frozenset[PaymentStatus]] = MappingProxyType(
    {
        # The last three by the provider's word about an attempt that was believed not to have been executed.
        P.REQUIRES_PAYMENT_METHOD: frozenset(
            {P.PROCESSING, P.CANCELED, P.SUCCEEDED, P.REQUIRES_CAPTURE, P.REQUIRES_ACTION}
        ),
        P.REQUIRES_CONFIRMATION: frozenset({P.PROCESSING, P.CANCELED}),
        # A failed attempt is not the payment's end: another means of payment may do.
        P.PROCESSING: frozenset({*_SETTLED, P.UNKNOWN}),
        # Processing only by the provider's word: what may have been charged is asked about, not charged again.
        P.UNKNOWN: frozenset({*_SETTLED, P.PROCESSING}),
        P.REQUIRES_ACTION: frozenset(
            {P.PROCESSING, P.SUCCEEDED, P.REQUIRES_CAPTURE, P.REQUIRES_PAYMENT_METHOD, P.CANCELED}
        ),
        P.REQUIRES_CAPTURE: frozenset({P.SUCCEEDED, P.CANCELED}),
        P.SUCCEEDED: frozenset(),
        P.CANCELED: frozenset(),
    }
)

CHARGEABLE = frozenset({P.REQUIRES_PAYMENT_METHOD, P.REQUIRES_CONFIRMATION})
FINAL = frozenset({P.SUCCEEDED, P.CANCELED})

"""Why something cannot be done with a payment."""

from __future__ import annotations

from lib.errors import Conflict, Declined, Forbidden, NotFound
from payments_svc.domain.arguments import BadArgument


class PaymentNotFound(NotFound):
    """Also for a payment of somebody else: that it exists is not for everyone to know."""

    code = "payment_not_found"


class PaymentDeclined(Declined):
    code = "payment_declined"


class ReferenceTaken(Conflict):
    code = "reference_taken"


class OperationInProgress(Conflict):
    """Something is under way at the provider, or may be: until that is known, nothing else is begun."""

    code = "operation_in_progress"

    def __init__(self) -> None:
        super().__init__("something else is under way for this payment", retry_after=1)


class IllegalTransition(Conflict):
    """A mistake of ours: no rule asks for such a step."""

    code = "illegal_payment_transition"


class PaymentNotConfirmable(Conflict):
    code = "payment_not_confirmable"


class PaymentNotCapturable(Conflict):
    code = "payment_not_capturable"


class PaymentNotCancelable(Conflict):
    code = "payment_not_cancelable"


class CaptureRefused(Conflict):
    """By the provider, for the reason in ``decline_code``; what is set aside stays so."""

    code = "capture_refused"


class CancelRefused(Conflict):
    """By the provider, for the reason in ``decline_code``: mostly because it came too late."""

    code = "cancel_refused"


class CaptureNotAllowed(Forbidden):
    code = "capture_not_allowed"


class PaymentMethodRequired(BadArgument):
    code = "payment_method_required"


class CaptureExceedsAuthorized(BadArgument):
    code = "capture_exceeds_authorized"


class InvalidCaptureMethod(BadArgument):
    code = "invalid_capture_method"


class InvalidCancellationReason(BadArgument):
    code = "invalid_cancellation_reason"


class InvalidAuthentication(BadArgument):
    code = "invalid_authentication"

"""The sandbox's test tokens, and what each of them stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from types import MappingProxyType

from payments_svc.application.provider_ports import MethodDetails
from payments_svc.domain.orders import Capture, Charge, GiveBack, Order, Void
from payments_svc.domain.outcome import NotExecuted

RETURNED = "expired_or_canceled_card"
"""Why a refund of ``tok_refund_fail`` comes back."""

RETRY_AFTER = 1
"""Seconds that ``tok_rate_limited`` asks for."""

EXPIRES_AFTER = timedelta(seconds=1)


class Refunds(Enum):
    AT_ONCE = auto()
    LATER = auto()
    RETURNED = auto()


@dataclass(frozen=True)
class Script:
    """What becomes of a charge of a token, and of what is asked about it later.

    :param declined: the charge is declined with that code
    :param asks_customer: the customer has to authenticate first (3-D Secure)
    :param slow: the charge is accepted first, and settled after SANDBOX_ASYNC_SECONDS
    :param reachable: False: nothing ever arrives
    :param stumbles: the first call with an attempt id is answered so, and does nothing; the next one goes through: a
        request fails, and its repetition with the same idempotency key succeeds
    :param silent: orders that are executed and never answered; `lookup` finds them
    :param capture_refused: its captures are refused with that code
    :param expires_after: how long an authorization holds; None for the usual time
    :param last4: of the card or account that it stands for
    """

    last4: str
    declined: str | None = None
    asks_customer: bool = False
    slow: bool = False
    reachable: bool = True
    stumbles: NotExecuted | None = None
    silent: tuple[type[Order], ...] = ()
    capture_refused: str | None = None
    expires_after: timedelta | None = None
    refunds: Refunds = Refunds.AT_ONCE

    @property
    def details(self) -> MethodDetails:
        if self.slow:
            return MethodDetails("bank_debit", None, self.last4)
        return MethodDetails("card", "visa", self.last4, 12, 2039)


TOKENS: Mapping[str, Script] = MappingProxyType(
    {
        "tok_visa": Script("4242"),
        "tok_declined": Script("0002", declined="declined"),
        "tok_insufficient_funds": Script("9995", declined="insufficient_funds"),
        "tok_expired_card": Script("0069", declined="expired_card"),
        "tok_lost_card": Script("9987", declined="lost_card"),
        "tok_3ds": Script("3184", asks_customer=True),
        "tok_async": Script("3000", slow=True),
        "tok_async_fail": Script("3001", slow=True, declined="debit_refused"),
        "tok_timeout": Script("5001", silent=(Charge,)),
        "tok_unreachable": Script("5002", reachable=False),
        "tok_error": Script("5003", stumbles=NotExecuted("provider_error")),
        "tok_rate_limited": Script("5004", stumbles=NotExecuted("provider_busy", RETRY_AFTER)),
        "tok_capture_timeout": Script("5005", silent=(Capture,)),
        "tok_cancel_timeout": Script("5006", silent=(Void,)),
        "tok_refund_timeout": Script("5007", silent=(GiveBack,)),
        "tok_refund_pending": Script("7726", refunds=Refunds.LATER),
        "tok_refund_fail": Script("3222", refunds=Refunds.RETURNED),
        "tok_capture_refused": Script("5008", capture_refused="issuer_refused"),
        "tok_expires": Script("5009", expires_after=EXPIRES_AFTER),
    }
)

"""What payments need from the companies that move money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from payments_svc.domain.orders import Order
from payments_svc.domain.outcome import Outcome


@dataclass(frozen=True)
class MethodDetails:
    """What may be shown of a means of payment; never a number beyond `last4`.

    :param kind: ``card``, ``bank_debit``
    """

    kind: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None


@dataclass(frozen=True)
class Notice:
    """A provider's message, once its signature is proved.

    :param event_id: the provider's id of it: the same message has the same, however often it comes
    :param type: in the provider's words
    :param about: what it points to; None for a type that the adapter does not know
    :param attempt_id: ours, from the metadata that the provider keeps with a charge or refund; None if it has none
    :param payload: the whole of it
    """

    event_id: str
    type: str
    occurred_at: datetime
    about: Literal["payment", "refund"] | None
    attempt_id: UUID | None
    payment_id: UUID | None
    payload: Mapping[str, Any]


class AttemptChangedError(Exception):
    """An attempt id came back with another content: a mistake of ours, never of a customer."""

    def __init__(self, attempt_id: UUID) -> None:
        super().__init__(f"attempt {attempt_id} came back with another content")


class Provider(Protocol):
    """A company that moves money.

    It knows what is asked of it by the attempt id: the same id again never moves money again. No method raises because
    of what happens at the provider, and none takes much longer than PROVIDER_TIMEOUT. `execute` and `lookup` are called
    outside of any transaction; the others ask nobody. What they tell is what is known of this call: NotExecuted for an
    attempt id that was sent before says nothing of the call before.
    """

    @property
    def name(self) -> str:
        """What payments are filed under."""

    def check_payment_method(self, payment_method: str) -> None:
        """Raise `UnknownPaymentMethod` or `UnsupportedPaymentMethod` for what cannot be a token."""

    def describe(self, payment_method: str) -> MethodDetails:
        """Return what may be shown of a token; raises as `check_payment_method`."""

    def execute(self, order: Order) -> Outcome:
        """Do it, or say what became of it if it was done before.

        Charge: Succeeded, Authorized (``capture=False``), ActionRequired, Accepted, Refused. Authentication: as Charge.
        Capture: Succeeded, Refused, Voided (the authorization is gone). Void: Voided, Refused (too late). GiveBack:
        Succeeded, Accepted, Refused. All: NotExecuted, MayHaveHappened.

        :raises AttemptChangedError: the attempt id stands for something else (another amount, charge, or kind of
            order), and nothing was done. The only thing that is raised: what happens at the provider never is.
        """

    def lookup(self, order: Order) -> Outcome | None:
        """Say what is known of an order now; None if nothing was executed under its attempt id so far.

        For a charge that is over: Succeeded (with the amount captured), Voided, Refused. NotExecuted or MayHaveHappened
        if the provider cannot be asked.

        A charge is known by its attempt id alone: about one that was given up we may be asked when its means of payment
        is not known any more, and the order names another.
        """

    def read_notice(self, body: bytes, signature: str, now: datetime) -> Notice:
        """Prove and read a message of the provider.

        :param body: the raw bytes that were signed
        :param signature: the signature header
        :raises InvalidSignature: missing, wrong, or made more than five minutes before or after `now`; nothing of the
            body may be believed
        :raises InvalidNotice: signed, and not readable
        """

    def interpret(self, payload: Any) -> Notice:
        """Read a message that was proved before, as `read_notice` has given it; also one of years ago.

        :raises InvalidNotice: not readable
        """


class Simulation(Protocol):
    """A provider of our own, beside being asked."""

    def run(self) -> None:
        """Let time pass for it, and bring its messages to our webhook."""

    def forget_sent(self) -> int:
        """Delete messages that were brought long ago; return how many."""

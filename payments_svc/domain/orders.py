"""What can be asked of a provider.

Each order carries the id of our attempt, which is the provider's idempotency key: stored before anything is sent, and
the same for whoever sends it again. The payment's id goes along as metadata, so that the provider's side can be matched
even if its own id never reached us.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Charge:
    """Take `amount` minor units, or (``capture=False``) only set them aside."""

    attempt_id: UUID
    payment_id: UUID
    amount: int
    currency: str
    payment_method: str
    capture: bool
    reference: str | None = None


@dataclass(frozen=True)
class Authentication:
    """Go on with a charge whose customer had to act.

    :param result: what the customer did, where the client tells us: ``succeed`` or ``fail`` for the sandbox, None where
        only the provider knows
    """

    attempt_id: UUID
    charge: Charge
    result: str | None = None


@dataclass(frozen=True)
class Capture:
    """Take `amount` of what the charge has set aside, and let go of the rest."""

    attempt_id: UUID
    charge: Charge
    amount: int


@dataclass(frozen=True)
class Void:
    """Let go of what the charge has set aside or begun."""

    attempt_id: UUID
    charge: Charge


@dataclass(frozen=True)
class GiveBack:
    """Refund `amount` of what the charge has taken."""

    attempt_id: UUID
    charge: Charge
    amount: int
    reference: str | None = None


Order = Charge | Authentication | Capture | Void | GiveBack

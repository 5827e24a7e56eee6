"""What became of something that was asked of a provider.

Three failures are three things: refused, surely not executed, and may have happened. The last one may never be guessed
at, nor be tried with another provider: the money may have moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from lib.errors import Unavailable


@dataclass(frozen=True)
class Succeeded:
    """The provider did it.

    :param amount: what was moved, in minor units, if the provider says so; None for what was asked for
    :param reference: the provider's own id of it
    """

    amount: int | None = None
    reference: str | None = None


@dataclass(frozen=True)
class Authorized:
    """The amount is set aside for us, and has to be captured.

    :param until: when the provider lets go of it
    """

    until: datetime
    reference: str | None = None


@dataclass(frozen=True)
class ActionRequired:
    """The customer has to prove who they are (3-D Secure) before the provider goes on.

    :param action: what the client has to do, for the provider's own form; primitives only
    """

    action: Mapping[str, Any] = field(default_factory=dict)
    reference: str | None = None


@dataclass(frozen=True)
class Accepted:
    """The provider has begun; what becomes of it will be known later (bank debits, slow refunds)."""

    reference: str | None = None


@dataclass(frozen=True)
class Refused:
    """The provider said no, for good: `decline_code` is its reason."""

    decline_code: str


@dataclass(frozen=True)
class Voided:
    """What was set aside or begun is let go of, and nothing was taken: canceled, expired or abandoned."""

    reason: Literal["canceled", "expired", "abandoned"] = "canceled"


@dataclass(frozen=True)
class NotExecuted:
    """It surely did not happen: the provider was not reached, or said itself that it failed before doing anything.

    :param retry_after: seconds that the provider asks us to stay away
    """

    reason: Literal["provider_unreachable", "provider_error", "provider_busy"]
    retry_after: int | None = None


@dataclass(frozen=True)
class MayHaveHappened:
    """There was no answer to something that was sent.

    :param retry_after: seconds that the provider asks us to stay away, if that is why there is none
    """

    retry_after: int | None = None


Outcome = Succeeded | Authorized | ActionRequired | Accepted | Refused | Voided | NotExecuted | MayHaveHappened


DEFINITE = (Succeeded, Authorized, Refused, Voided)
"""What stays as it is, whoever asks, and when."""


class ProviderUnreachable(Unavailable):
    code = "provider_unreachable"


class ProviderError(Unavailable):
    code = "provider_error"


class ProviderBusy(Unavailable):
    code = "provider_busy"


def refusal_of(outcome: NotExecuted) -> Unavailable:
    """Return the error that tells the caller to try again with the same key."""
    match outcome.reason:
        case "provider_error":
            return ProviderError("the payment provider failed; nothing was done, repeat it with its key", retry_after=1)
        case "provider_busy":
            wait = outcome.retry_after or 5
            return ProviderBusy("the payment provider wants us to wait; nothing was done", retry_after=wait)
    return ProviderUnreachable(
        "the payment provider cannot be reached; nothing was done, repeat it with its key", retry_after=5
    )

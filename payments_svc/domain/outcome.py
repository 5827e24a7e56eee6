"""What became of something that was asked of a provider.

These are four different things to the customer. Only the last one may never be guessed at, nor be tried with another
provider: the money may have moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lib.errors import Unavailable


@dataclass(frozen=True)
class Succeeded:
    """The provider did it."""


@dataclass(frozen=True)
class Refused:
    """The provider said no, for good: `decline_code` is its reason."""

    decline_code: str


@dataclass(frozen=True)
class NotExecuted:
    """It surely did not happen: the provider was not reached, or said itself that it failed before doing anything."""

    reason: Literal["provider_unreachable", "provider_error"]


@dataclass(frozen=True)
class MayHaveHappened:
    """There was no answer to something that was sent."""


Outcome = Succeeded | Refused | NotExecuted | MayHaveHappened


class ProviderUnreachable(Unavailable):
    code = "provider_unreachable"


class ProviderError(Unavailable):
    code = "provider_error"


def refusal_of(outcome: NotExecuted) -> Unavailable:
    """Return the error that tells the caller to try again with the same key."""
    if outcome.reason == "provider_error":
        return ProviderError("the payment provider failed; nothing was done, repeat it with its key", retry_after=1)
    return ProviderUnreachable(
        "the payment provider cannot be reached; nothing was done, repeat it with its key", retry_after=5
    )

"""How often somebody may guess a password.

Attempts are counted before the password is looked at, so that fifty guesses at the same moment are fifty guesses. They
are counted by address, whether or not somebody has it here; a device that its owner signed in with before has a count
of its own, so that strangers cannot lock the owner out. The lock ends by itself and shows in no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class LockoutPolicy:
    """:param attempts: failed ones in a row within `window`; None: no lock at all"""

    attempts: int | None
    window: timedelta

    def locks(self, attempts: int) -> bool:
        """True if the attempt with this number is not to be looked at."""
        return self.attempts is not None and attempts > self.attempts

    def is_last(self, attempts: int) -> bool:
        """True if no further attempt is looked at, should this one fail."""
        return self.attempts is not None and attempts == self.attempts

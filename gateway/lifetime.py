"""How long an answer that takes its time may go on: a stream of notifications, an export.

The token was good when the request came. What has happened since is looked at again before each next word.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from gateway.state import Gateway
from lib.context import CallContext
from lib.tokens import InvalidToken

#: seconds: nothing goes on for longer, so that open answers spread over processes that were started later
LONGEST = 3600.0


class Lifetime:
    """That of one answer, from now on.

    :param call: the request's context; somebody is signed in
    :param clock: monotonic
    """

    def __init__(self, own: Gateway, call: CallContext, clock: Callable[[], float]) -> None:
        self._own = own
        self._actor = call.actor
        self._clock = clock
        now = clock()
        self._token_until = now + call.actor.claims["exp"] - time.time()
        # Those that begin together, after a restart, do not end together.
        self._until = now + LONGEST * random.uniform(0.9, 1.0)  # noqa: S311

    def over(self) -> str | None:
        """Return why the answer must end now, if it must."""
        now = self._clock()
        if self._own.streams.closing:
            return "shutting_down"
        if now >= self._token_until:
            return "token_expired"
        if now >= self._until:
            return "too_long"
        try:
            self._own.revocations.check(str(self._actor.id), str(self._actor.session_id))
        except InvalidToken:
            return "session_ended"
        return None

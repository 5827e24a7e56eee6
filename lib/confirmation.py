"""What becomes of a message that was handed to a `lib.link.Link`."""

from __future__ import annotations

import threading

from lib.errors import OutcomeUnknown, Unavailable


class BrokerUnavailable(Unavailable):
    """The message was not sent."""

    code = "broker_unavailable"


class PublishUnconfirmed(OutcomeUnknown):
    """The message was sent, and the broker did not say whether it has it."""

    code = "publish_unconfirmed"


class Unroutable(PublishUnconfirmed):
    """The message had to reach a queue, and there is none."""

    code = "unroutable"


class Confirmation:
    """The broker's word about one message, to be waited for."""

    __slots__ = ("_lock", "error", "mark")

    def __init__(self, mark: str = "") -> None:
        self.mark = mark
        self._lock = threading.Lock()
        self._lock.acquire()
        self.error: Exception | None = None

    def settle(self, error: Exception | None = None) -> None:
        self.error = error
        self._lock.release()

    def wait(self, timeout: float) -> None:
        """Return once the broker has the message; raise `PublishUnconfirmed` after `timeout` seconds, or when lost.

        It may be waited for again if what was raised is not its `error`: the answer is still to come, or has just come.
        """
        if not self._lock.acquire(timeout=max(0.0, timeout)):
            raise PublishUnconfirmed("the broker did not confirm in time", retry_after=1)
        if self.error is not None:
            raise self.error

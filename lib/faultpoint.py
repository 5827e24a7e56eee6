"""Places at which a test may have the process killed, as a power cut would.

``FAULT_POINT=relay.before_publish`` makes the process send itself SIGKILL the first time it gets there,
``FAULT_POINT=relay.before_publish:3`` the third time. Nothing is armed without the variable, and production refuses it.
"""

from __future__ import annotations

import os
import signal

_armed, _, _times = os.environ.get("FAULT_POINT", "").partition(":")
_left = int(_times or 1)

#: every place, with what has happened when the process gets there
POINTS = {
    "relay.before_publish": "committed, not published",
    "relay.after_publish": "published and confirmed, not marked as sent",
    "rpc.before_reply": "the method has returned, the caller does not know yet",
}


def reach(point: str) -> None:
    """Die here if the environment says so. `point` is one of `POINTS`, or a service's own name for a place."""
    global _left  # noqa: PLW0603  (one process, one fault)
    if point != _armed:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)

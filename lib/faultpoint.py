"""Places at which a test may have the process killed, as a power cut would.

``FAULT_POINT=relay.before_publish`` makes the process send itself SIGKILL the first time it gets there,
``FAULT_POINT=relay.before_publish:3`` the third time. Nothing is armed without the variable, and production refuses it.
The places of `lib`; services have their own:

- ``relay.before_publish``: committed, not published
- ``relay.after_publish``: published and confirmed, not marked as sent
- ``rpc.before_reply``: a method has returned, its caller does not know yet; ``rpc.before_reply.pay`` means one method
"""

from __future__ import annotations

import os
import signal

_armed, _, _times = os.environ.get("FAULT_POINT", "").partition(":")
_left = int(_times or 1)


def reach(point: str, detail: str = "") -> None:
    """Die here if the environment says so.

    :param detail: which of several at this point; ``point.detail`` names it alone
    """
    global _left  # noqa: PLW0603  (one process, one fault)
    if not _armed or _armed not in (point, f"{point}.{detail}"):
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)

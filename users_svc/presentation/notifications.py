"""users_svc on the broker: notifications."""

from __future__ import annotations

from lib.caller import Caller
from users_svc.application.ports import Ports


class NotificationRpc:
    """Part of `UsersService`."""

    ports: Ports
    caller: Caller

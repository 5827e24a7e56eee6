"""users_svc on the broker: search."""

from __future__ import annotations

from lib.caller import Caller
from users_svc.application.ports import Ports


class SearchRpc:
    """Part of `UsersService`."""

    ports: Ports
    caller: Caller

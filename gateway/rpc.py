"""The services, as one request may call them."""

from __future__ import annotations

from typing import Any

from flask import g

from gateway.state import gateway


def services(timeout: float | None = None) -> Any:
    """Return this request's view of the services: ``services().auth_svc.login(email=…, password=…)``.

    Every call carries the request's id, its trace, and who acts: the caller's token, or explicitly nobody.

    :param timeout: seconds; the default is ``RPC_TIMEOUT``
    """
    return gateway().cluster.view(g.call, timeout=timeout)

"""Protection against guessing passwords: of one account's from many places, or of many accounts' from anywhere.

The account itself is guarded by its own lockout, which counts in the issuer's database. Here failures are counted per
client address (a /64 of IPv6) and all together. A sign-in that succeeds takes nothing back: whoever has one password
would go on guessing others with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response
from limits import RateLimitItem

from gateway.counters import Window
from gateway.limits import client_key, report, too_many
from gateway.state import gateway
from lib.faults import Fault

FAILURE, UNKNOWN_DEVICE = "invalid_credentials", "rate_limited"
#: what a sign-in may bring, and what the guard adds to it
DEVICE, KNOWN_ONLY = "device_token", "known_device_only"
BY_ADDRESS, BY_ALL = "failed-logins", "all-failed-logins"

SignIn = Callable[[dict[str, Any]], Response]


def guarded_login(view: SignIn) -> SignIn:
    """Let a sign-in go on only while there were not too many failures; put it right above the view, below its body.

    When there are too many of them everywhere, those go on who show that they signed in from this device before.
    Whether that is so is for the issuer to say, who is told by `KNOWN_ONLY` to refuse all others unseen; they get the
    answer of those who show nothing. Failures from a known device count all the same.
    """

    @wraps(view)
    def wrapper(data: dict[str, Any]) -> Any:
        own = gateway()
        counters, settings = own.counters, own.settings
        if counters is None:
            return view(data)
        address, everybody = settings.login_failures_per_address, settings.login_failures_global
        client = client_key()
        window = counters.look(address, client, BY_ADDRESS)
        if not window.passed:
            report(BY_ADDRESS, address, window)
            return too_many(BY_ADDRESS, window, "Too many failed sign-ins from your address; try again later.")
        window = counters.look(everybody, BY_ALL)
        known_only = not window.passed
        if known_only and not data.get(DEVICE):
            return _too_many_of_all(everybody, window)
        try:
            return view({**data, KNOWN_ONLY: True} if known_only else data)
        except Fault as refusal:
            if known_only and refusal.code == UNKNOWN_DEVICE:
                return _too_many_of_all(everybody, window)
            if refusal.code == FAILURE:
                counters.hit(address, client, BY_ADDRESS)
                counters.hit(everybody, BY_ALL)
            raise

    return wrapper


def _too_many_of_all(limit: RateLimitItem, window: Window) -> Response:
    report(BY_ALL, limit, window)
    return too_many(BY_ALL, window, "Too many failed sign-ins at the moment; try again soon.")

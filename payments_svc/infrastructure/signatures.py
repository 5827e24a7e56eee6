"""Signatures over messages in Stripe's header format: ``t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">``.

Several ``v1`` stand there while a secret is replaced. The sandbox signs with this, and both its messages and Stripe's
are checked with it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from payments_svc.domain.notice import InvalidSignature

TOLERANCE = timedelta(minutes=5)
"""How far a signature's time may be from ours, in both directions."""

LONGEST_HEADER, MOST_ITEMS = 4096, 32
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def sign(body: bytes, secrets: Iterable[str], at: datetime) -> str:
    """Return the header for a body that is sent at a moment, signed with each of the secrets."""
    seconds = str(int(at.timestamp()))
    return ",".join((f"t={seconds}", *(f"v1={_digest(body, each, seconds)}" for each in secrets)))


def verify(body: bytes, header: str, secrets: Sequence[str], now: datetime) -> None:
    """Raise `InvalidSignature` unless one of the secrets has signed the body, not long ago.

    :param body: the raw bytes, as they came
    """
    seconds, digests = _parse(header)
    if abs(int(seconds) - now.timestamp()) > TOLERANCE.total_seconds():
        raise InvalidSignature("the signature is too old, or from the future")
    matches = 0
    for secret in secrets:
        expected = _digest(body, secret, seconds)
        # Without stopping at the first that fits: how long it takes says nothing.
        for digest in digests:
            matches += hmac.compare_digest(expected, digest)
    if not matches:
        raise InvalidSignature("the signature does not fit")


def _parse(header: str) -> tuple[str, list[str]]:
    """Return the time and the digests of a header; what else stands in it is for others."""
    if not header:
        raise InvalidSignature("there is no signature")
    if len(header) > LONGEST_HEADER or not header.isascii():
        raise InvalidSignature("the signature cannot be read")
    items = header.split(",")
    if len(items) > MOST_ITEMS:
        raise InvalidSignature("the signature cannot be read")
    pairs = [each.strip().partition("=") for each in items]
    times = [value for name, _, value in pairs if name == "t"]
    digests = [value for name, _, value in pairs if name == "v1" and _DIGEST.fullmatch(value)]
    if len(times) != 1 or not _SECONDS.fullmatch(times[0]) or not digests:
        raise InvalidSignature("the signature cannot be read")
    return times[0], digests


def _digest(body: bytes, secret: str, seconds: str) -> str:
    return hmac.new(secret.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest()

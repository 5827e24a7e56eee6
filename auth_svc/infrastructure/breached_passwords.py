"""Passwords that have leaked somewhere, asked for at a service with the range API of Have I Been Pwned.

Only the first five hexadecimal digits of the password's SHA-1 leave the house, and the answer is padded so that its
length tells nothing (k-anonymity). A service that is away or slow refuses nobody: the password is taken, and counted.
"""

from __future__ import annotations

import hashlib
import logging
import time

import requests
import urllib3
from prometheus_client import Counter

from lib import metrics

log = logging.getLogger(__name__)

TIMEOUT = 1.5
PREFIX = 5
LONGEST_ANSWER = 1024 * 1024
PIECE = 64 * 1024

CHECKS = Counter(
    "leveret_breached_password_checks_total",
    "Questions whether a password has leaked",
    ["outcome"],
    registry=metrics.REGISTRY,
)


class NoBreachedPasswords:
    """For an operator who asks nobody."""

    def contains(self, password: str) -> bool:  # noqa: ARG002
        return False


class RangeApi:
    """:param url: what the five digits are put behind, as ``https://api.pwnedpasswords.com/range/``"""

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout

    def contains(self, password: str) -> bool:
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        try:
            lines = self._ask(digest[:PREFIX])
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
            log.warning("the service for breached passwords does not answer: %s", type(exc).__name__)
            CHECKS.labels("unavailable").inc()
            return False
        found = any(_leaked(line, digest[PREFIX:]) for line in lines)
        CHECKS.labels("breached" if found else "clean").inc()
        return found

    def _ask(self, prefix: str) -> list[str]:
        headers = {"Add-Padding": "true", "User-Agent": "leveret"}
        give_up, content = time.monotonic() + self._timeout, b""
        with requests.get(
            f"{self._url}/{prefix}", headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
        ) as response:
            if response.status_code != requests.codes.ok:
                raise requests.HTTPError(f"status {response.status_code}")
            # The time limit of requests is for each single wait: an answer that drips would go on for ever.
            while len(content) < LONGEST_ANSWER and (piece := response.raw.read1(PIECE, decode_content=True)):
                content += piece
                if time.monotonic() > give_up:
                    raise requests.Timeout("the answer takes too long")
        text: str = content.decode("ascii")
        return text.splitlines()


def _leaked(line: str, suffix: str) -> bool:
    """True if the line is the password's own; lines with a count of 0 are padding."""
    found, _, count = line.partition(":")
    return found.strip().upper() == suffix and count.strip() not in ("", "0")

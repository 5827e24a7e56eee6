"""Keys that access tokens are signed with.

next → active → retiring → gone. A key is published for a while before it signs and for a while after, so that whoever
checks a token knows its key by then, and knows it as long as the token is valid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from lib.errors import Conflict, NotFound

#: `next` is published and does not sign yet, `active` signs, `retiring` only verifies what it signed
KeyState = Literal["next", "active", "retiring"]

#: For how long a key is published before it signs. Verifiers keep a copy of the keys for up to 5 minutes, and who reads
#: them over HTTP gets a gateway's copy, which may be kept for 5 minutes more.
PUBLISHED_AHEAD = timedelta(minutes=15)
#: … and if it has to be quick. A verifier asks again when it meets an unknown key, but not within 5 seconds of having
#: asked, which may have taken 2 seconds and have brought an answer 1 second old.
SETTLED = timedelta(seconds=10)
#: For how long a key outlives the tokens that it signed: it signs for some seconds after it retired, where another
#: process has not heard of that yet, and clocks differ.
MARGIN = timedelta(minutes=5)


class SigningKeyExists(Conflict):
    """Another instance made the key a moment earlier; that one counts."""

    code = "signing_key_exists"


class SigningKeyNotFound(NotFound):
    code = "signing_key_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such signing key")


class KeyTooNew(Conflict):
    """Somebody may not know the next key yet, and would refuse what it signs."""

    code = "key_too_new"

    def __init__(self, wait: timedelta) -> None:
        seconds = math.ceil(wait.total_seconds())
        super().__init__(f"not everybody knows the next signing key yet; try again in {seconds} s", retry_after=seconds)


class SealedKeyError(RuntimeError):
    """No key in SECRET_KEY opens the signing key: one was taken away while it was still needed."""


@dataclass(eq=False, kw_only=True)
class SigningKey:
    """A key pair. The private half is only ever held sealed.

    :param kid: the key's id, as token headers name it
    :param public_jwk: the public half as a JSON Web Key
    :param sealed_private: the private half, encrypted; empty once the key has retired
    :param retired_at: when another key took over
    """

    kid: str
    algorithm: str
    public_jwk: dict[str, str]
    sealed_private: bytes = field(repr=False)
    state: KeyState
    created_at: datetime
    retired_at: datetime | None = None

    def hold_back(self) -> None:
        """Be published only, until the key that signs retires."""
        self.state = "next"

    def check_known(self, now: datetime, *, at_once: bool) -> None:
        """Raise `KeyTooNew` unless the key has been published for long enough to sign.

        :param at_once: for long enough that everybody who does not know it yet asks for it when they meet it
        """
        wait = self.created_at + (SETTLED if at_once else PUBLISHED_AHEAD) - now
        if wait > timedelta(0):
            raise KeyTooNew(wait)

    def promote(self) -> None:
        """Sign from now on."""
        self.state = "active"

    def retire(self, now: datetime) -> None:
        """Sign nothing more. The private half goes at once: nobody can sign with this key ever again."""
        self.state, self.retired_at, self.sealed_private = "retiring", now, b""

    def is_needed(self, now: datetime, token_lifetime: timedelta) -> bool:
        """True as long as the key signs, or will sign, or some valid token may be signed with it."""
        return self.retired_at is None or now < self.retired_at + token_lifetime + MARGIN

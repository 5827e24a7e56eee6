"""Keys that access tokens are signed with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lib.errors import Conflict

#: `next` is published and does not sign yet, `active` signs, `retiring` only verifies what it signed
KeyState = Literal["next", "active", "retiring"]


class SigningKeyExists(Conflict):
    """Another instance made the active key a moment earlier; that one counts."""

    code = "signing_key_exists"


@dataclass(eq=False, kw_only=True)
class SigningKey:
    """A key pair. The private half is only ever held sealed.

    :param kid: the key's id, as token headers name it
    :param public_jwk: the public half as a JSON Web Key
    :param sealed_private: the private half, encrypted
    """

    kid: str
    algorithm: str
    public_jwk: dict[str, str]
    sealed_private: bytes = field(repr=False)
    state: KeyState
    created_at: datetime

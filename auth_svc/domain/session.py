"""The session: one sign-in on one device, kept alive by refresh tokens that change with every use.

A refresh token works once. Its successor is a function of the token itself, so that a client whose answer got lost, or
two tabs that refresh together, get the *same* successor while nobody has used it yet (`RefreshPolicy.grace`). A token
that comes back later is in two hands: the session dies.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Protocol, Self
from uuid import UUID

from lib.aggregate import Aggregate
from lib.errors import NotFound, Unauthenticated

LOGOUT, REUSED = "logout", "refresh_reused"
#: further reasons why sessions end
PASSWORD_RESET, PASSWORD_CHANGE, CLAIM, EMAIL_REVERT = "password_reset", "password_change", "claim", "email_revert"
DISABLED, ADMIN, ROLES, CLIENT = "disabled", "admin", "roles", "client"


class RefreshInvalid(Unauthenticated):
    code = "refresh_invalid"

    def __init__(self) -> None:
        super().__init__("this refresh token is not valid (any more)")


class RefreshReused(Unauthenticated):
    code = "refresh_reused"

    def __init__(self) -> None:
        super().__init__("this refresh token was used before; the session has ended, sign in again")


class SessionNotFound(NotFound):
    code = "session_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such session")


class SessionExpired(Unauthenticated):
    code = "session_expired"

    def __init__(self) -> None:
        super().__init__("the session has expired, sign in again")


@dataclass(frozen=True)
class SessionRevoked:
    """The session ended before its time; its access tokens are to be refused from now on."""

    type: ClassVar[str] = "session.revoked"
    schema_version: ClassVar[int] = 1
    session_id: str
    user_id: str
    reason: str


@dataclass(frozen=True)
class RefreshPolicy:
    """How long a session lives.

    :param lifetime: from sign-in to the end, whatever happens
    :param idle: from the last refresh to the end
    :param grace: for how long a used token gets its unused successor once more
    """

    lifetime: timedelta
    idle: timedelta
    grace: timedelta


class TokenChain(Protocol):
    """What a session asks about refresh tokens. The server's keys stay behind it."""

    def fingerprint(self, token: str) -> bytes:
        """Return what is stored of the token: it recognizes the token and does not give it away."""

    def successors(self, session_id: UUID, token: str, generation: int) -> Iterable[str]:
        """Yield the token that follows `token`, under each of the server's keys, the newest first."""

    def is_ours(self, session_id: UUID, token: str) -> bool:
        """True if this server made the token for this session, however long ago."""


@dataclass(eq=False, kw_only=True)
class Session(Aggregate):
    """Only the fingerprints of the newest refresh token and of the one before are known here.

    :param generation: how often the token has changed
    :param rotated_at: when it last did
    :param amr: how the owner proved who they are, in words of RFC 8176
    :param ip: where the owner signed in from
    :param user_agent: what the client called itself then
    """

    id: UUID
    account_id: UUID
    amr: tuple[str, ...]
    token_hash: bytes = field(repr=False)
    authenticated_at: datetime
    last_used_at: datetime
    expires_at: datetime
    generation: int = 0
    previous_hash: bytes | None = field(default=None, repr=False)
    rotated_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_reason: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    sequence: int = 0

    @classmethod
    def open(
        cls,
        *,
        id: UUID,
        account_id: UUID,
        token_hash: bytes,
        amr: tuple[str, ...],
        now: datetime,
        lifetime: timedelta,
        ip: str | None = None,
        user_agent: str | None = None,
    ) -> Self:
        """Start a session for an account whose owner was just recognized."""
        return cls(
            id=id,
            account_id=account_id,
            amr=amr,
            token_hash=token_hash,
            authenticated_at=now,
            last_used_at=now,
            expires_at=now + lifetime,
            ip=ip,
            user_agent=user_agent,
        )

    def is_live(self, now: datetime, idle: timedelta) -> bool:
        """True if its refresh token still works."""
        return self.revoked_at is None and now < self.expires_at and now - self.last_used_at <= idle

    def rotate(self, presented: str, chain: TokenChain, *, now: datetime, policy: RefreshPolicy) -> str:
        """Take a refresh token and return its successor.

        A token that was used before ends the session: the change is to be saved although `RefreshReused` is raised.
        """
        mark = chain.fingerprint(presented)
        is_current = hmac.compare_digest(mark, self.token_hash)
        is_previous = self.previous_hash is not None and hmac.compare_digest(mark, self.previous_hash)
        if not (is_current or is_previous or chain.is_ours(self.id, presented)):
            # Whoever knows a session's id must not be able to end it with a made-up token.
            raise RefreshInvalid
        self._must_live(now, policy.idle)
        if is_current:
            return self._advance(presented, chain, now)
        if is_previous and self.rotated_at is not None and now - self.rotated_at < policy.grace:
            return self._successor_again(presented, chain)
        self.revoke(REUSED, now)
        raise RefreshReused

    def _must_live(self, now: datetime, idle: timedelta) -> None:
        if self.revoked_reason == REUSED:
            # Said again and again, also to the rightful owner, who should know why they have to sign in.
            raise RefreshReused
        if self.revoked_at is not None:
            raise RefreshInvalid
        if not self.is_live(now, idle):
            raise SessionExpired

    def _advance(self, presented: str, chain: TokenChain, now: datetime) -> str:
        successor = next(iter(chain.successors(self.id, presented, self.generation)))
        self.previous_hash, self.token_hash = self.token_hash, chain.fingerprint(successor)
        self.generation += 1
        self.rotated_at = self.last_used_at = now
        return successor

    def _successor_again(self, presented: str, chain: TokenChain) -> str:
        for successor in chain.successors(self.id, presented, self.generation - 1):
            if hmac.compare_digest(chain.fingerprint(successor), self.token_hash):
                return successor
        # The server's key was withdrawn within the grace window: nobody's fault, so the session lives on.
        raise RefreshInvalid

    def revoke(self, reason: str, now: datetime) -> None:
        """End the session for good; a session that has ended stays as it ended."""
        if self.revoked_at is None:
            self.revoked_at, self.revoked_reason = now, reason
            self.record(SessionRevoked(session_id=str(self.id), user_id=str(self.account_id), reason=reason))

"""What the use cases need from the world, in their words."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from auth_svc.domain.account import Account
from auth_svc.domain.email import Email
from auth_svc.domain.session import RefreshPolicy, Session, TokenChain
from auth_svc.domain.signing_key import SigningKey


class Accounts(Protocol):
    def add(self, account: Account) -> None: ...

    def get(self, account_id: UUID) -> Account:
        """Return the account, locked until the transaction ends; raises `AccountNotFound`."""

    def find(self, account_id: UUID) -> Account | None:
        """Return the account to read, without a lock."""

    def find_by_email(self, email: Email) -> Account | None:
        """Return the account to read, without a lock."""

    def find_by_request_key(self, request_key: str) -> Account | None:
        """Return the account that the request with this key made."""


class Sessions(Protocol):
    def add(self, session: Session) -> None: ...

    def find(self, session_id: UUID) -> Session | None:
        """Return the session, locked until the transaction ends."""

    def live_of(self, account_id: UUID, now: datetime) -> Sequence[Session]:
        """Return the account's sessions that have not ended, all locked, oldest first."""


class SigningKeys(Protocol):
    def add(self, key: SigningKey) -> None: ...

    def published(self) -> Sequence[SigningKey]:
        """Return every key that some valid token may be signed with, oldest first."""


class UnitOfWork(Protocol):
    """One transaction. Leaving it without `commit` undoes everything."""

    @property
    def accounts(self) -> Accounts: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def signing_keys(self) -> SigningKeys: ...

    def commit(self) -> None:
        """Save the changes and their events together.

        :raises EmailTaken: a parallel transaction was faster with the same address
        :raises RequestKeyTaken: … with the same request key
        :raises SigningKeyExists: … with the first signing key
        """


class PasswordHasher(Protocol):
    """Slow on purpose: never call it inside a transaction."""

    def hash(self, password: str) -> str: ...

    def verify(self, password_hash: str | None, password: str) -> bool:
        """True if the hash is the password's.

        Without a hash the answer is False after the same work, so that time does not tell who has an account.
        """

    def is_outdated(self, password_hash: str) -> bool:
        """True if the hash was made with other parameters than new ones are."""


@dataclass(frozen=True)
class AccessToken:
    """A signed statement of who somebody is.

    :param expires_in: seconds
    """

    value: str = field(repr=False)
    expires_in: int


class SignAccessToken(Protocol):
    def __call__(self, account: Account, session: Session, now: datetime) -> AccessToken: ...


class Tokens(Protocol):
    """Access tokens and the public keys to check them with."""

    def signer(self) -> SignAccessToken:
        """Return what signs with the active key.

        It may read the database, so take it before a transaction begins: a service that cannot sign must not
        register or sign in anybody.
        """

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JSON Web Key Set (RFC 7517)."""


class RefreshTokens(TokenChain, Protocol):
    """Refresh tokens: opaque to clients, unguessable, each naming its session."""

    def issue(self, session_id: UUID) -> str:
        """Return the first token of a new session."""

    def session_of(self, token: object) -> UUID | None:
        """Return which session the token says that it belongs to; None if it is no such token at all."""


class KeyMaker(Protocol):
    def make(self, now: datetime) -> SigningKey:
        """Return a new active key pair, its private half sealed."""


@dataclass(frozen=True)
class Ports:
    """Everything that a use case of this service may ask for.

    :param unit_of_work: opens a transaction
    :param common_passwords: passwords that many people use, as `domain.password.comparable` spells them
    """

    unit_of_work: Callable[[], AbstractContextManager[UnitOfWork]]
    hasher: PasswordHasher
    tokens: Tokens
    refresh_tokens: RefreshTokens
    refresh_policy: RefreshPolicy
    key_maker: KeyMaker
    common_passwords: Container[str]
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]

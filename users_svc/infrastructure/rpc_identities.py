"""The accounts, asked of auth_svc over RPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from lib.errors import DomainError, Limited, OutcomeUnknown, Unavailable
from lib.faults import Fault
from users_svc.domain.identity import (
    EmailTaken,
    Identity,
    InvalidEmail,
    InvalidRequestKey,
    RequestInProgress,
    RequestKeyReused,
)
from users_svc.domain.profile import UserNotFound
from users_svc.domain.text import InvalidName

# What auth_svc may refuse, in this service's words. A code that is not here, and of no kind below, is a bug on one of
# the two sides: it goes on as the Fault it is.
_REFUSALS: dict[str, type[DomainError]] = {
    error.code: error
    for error in (
        EmailTaken,
        InvalidEmail,
        InvalidName,
        InvalidRequestKey,
        OutcomeUnknown,
        RequestInProgress,
        RequestKeyReused,
    )
} | {"account_not_found": UserNotFound}
_KINDS: dict[str, type[DomainError]] = {error.kind: error for error in (Limited, Unavailable)}


class RpcIdentities:
    """An `Identities` port over RPC. `Unavailable` and timeouts of the client go through as they are.

    :param auth: a client of auth_svc that acts as the system (`lib.service_rpc`)
    """

    def __init__(self, auth: Any) -> None:
        self._auth = auth

    def reserve_account(self, *, email: str, name: str, request_key: str) -> Identity | None:
        answer = _ask(self._auth.reserve_account, email=email, name=name, request_key=request_key)
        return None if "accepted" in answer else _identity(answer)

    def get_account(self, user_id: UUID) -> Identity:
        return _identity(_ask(self._auth.get_account, user_id=str(user_id)))


def _ask(method: Callable[..., Mapping[str, Any]], **arguments: str) -> Mapping[str, Any]:
    try:
        return method(**arguments)
    except Fault as fault:
        refusal = _REFUSALS.get(fault.code) or _KINDS.get(fault.kind)
        if refusal is None:
            raise
        raise refusal(fault.message, **fault.details) from fault


def _identity(account: Mapping[str, Any]) -> Identity:
    return Identity(
        UUID(account["id"]), account["email"], account["name"], disabled=account.get("status") == "disabled"
    )

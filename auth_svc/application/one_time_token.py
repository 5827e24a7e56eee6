"""The step with which somebody shows a token or code from a mail."""

from __future__ import annotations

from auth_svc.application.ports import Ports
from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.one_time_token import InvalidToken, OneTimeToken, Purpose


def find_token(ports: Ports, uow: UnitOfWork, token: str, purpose: Purpose) -> tuple[Account, OneTimeToken]:
    """Return the token's account and the token itself, both locked, the account first.

    :raises InvalidToken: there is no such token for this purpose
    """
    token_hash = ports.one_time_tokens.token_hash(token)
    seen = uow.one_time_tokens.find_by_hash(token_hash)
    if seen is None or seen.purpose != purpose:
        raise InvalidToken
    try:
        account = uow.accounts.get(seen.account_id)
    except AccountNotFound as exc:
        raise InvalidToken from exc
    found = uow.one_time_tokens.find(seen.account_id, seen.slot)
    if found is None or found.token_hash != token_hash:
        # A newer one has taken its place while we waited.
        raise InvalidToken
    return account, found

"""The owner of an account proves it by password and gets a new session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from auth_svc.application.check_password import check_password
from auth_svc.application.open_session import PASSWORD, SignedIn, open_session
from auth_svc.application.ports import Ports, SignAccessToken
from auth_svc.application.repositories import BegunLogin, UnitOfWork
from auth_svc.domain.account import Account, AccountNotFound, InvalidCredentials
from auth_svc.domain.email import Email, InvalidEmail
from auth_svc.domain.password import presented_password
from lib.errors import Limited, Overtaken, Unavailable

RETRY_AFTER = 30


@dataclass(frozen=True)
class Attempt:
    """:param number: how many there were in a row, with this one
    :param key: under which they are counted
    """

    account: Account | None
    is_known_device: bool
    key: bytes
    number: int


@dataclass(frozen=True)
class Proof:
    """What the password was found to be.

    :param upgraded: the same password under today's parameters, if that is needed
    """

    password_hash: str = field(repr=False)
    password_set_at: datetime | None
    upgraded: str | None = field(repr=False)


class TooManyFailures(Limited):
    """For a while only known devices may try."""

    code = "rate_limited"

    def __init__(self) -> None:
        super().__init__("too many failed sign-ins at the moment; try again soon", retry_after=RETRY_AFTER)


def sign_in(
    ports: Ports, *, email: str, password: str, device_token: str | None = None, known_device_only: bool = False
) -> SignedIn:
    """Open a session for whoever knows the password.

    Every failure does the same work and gives the same error: it must not show who has an account, nor that it is
    locked.

    :param device_token: from an earlier sign-in on the same device; strangers' failures do not lock that out
    :param known_device_only: refuse everybody else unseen: somebody is trying the passwords of many accounts
    """
    attempt = _begin(ports, email, device_token, known_device_only=known_device_only)
    known = attempt.account
    presented = presented_password(password)
    locked = ports.rules.lockout.locks(attempt.number)
    password_hash = known.password_hash if known and presented and not locked else None
    # Always one verification, whatever is wrong, and always the same error after it.
    matches = check_password(ports, password_hash=password_hash, password=presented, key=attempt.key)
    if not matches or known is None or presented is None or password_hash is None or not _is_open(ports, known):
        _note_failure(ports, attempt)
        raise InvalidCredentials
    proof = Proof(password_hash, known.password_set_at, _upgraded(ports, password_hash, presented))
    sign = ports.tokens.signer()
    try:
        signed_in = _enter(ports, attempt, proof, sign, lambda uow: _as_read(uow, known))
    except Overtaken:
        # Another sign-in was faster, or it is not the account any more that the password was checked for.
        signed_in = _enter(ports, attempt, proof, sign, lambda uow: _locked(uow, known.id))
    kept = device_token if attempt.is_known_device else ports.device_tokens.issue(signed_in.account)
    return replace(signed_in, device_token=kept)


def _enter(
    ports: Ports, attempt: Attempt, proof: Proof, sign: SignAccessToken, account_in: Callable[[UnitOfWork], Account]
) -> SignedIn:
    """Open the session; `account_in` a transaction is whose it will be."""
    with ports.unit_of_work() as uow:
        account = account_in(uow)
        now = ports.now()
        session, refresh_token = open_session(ports, uow, account, method=PASSWORD, now=now)
        account.log_in(session_id=session.id, method=PASSWORD, password_set_at=proof.password_set_at)
        if proof.upgraded:
            account.upgrade_hash(proof.password_hash, proof.upgraded)
        if not attempt.is_known_device and account.email_verified:
            account.request_mail("new_device", session.id)
        access_token = sign(account, session, now)
        if ports.rules.lockout.attempts is not None:
            uow.login_attempts.clear(attempt.key)
        uow.audit.add("login.succeeded", account_id=account.id, actor_id=account.id, session_id=session.id)
        uow.commit()
    return SignedIn(account, access_token, refresh_token)


def _as_read(uow: UnitOfWork, account: Account) -> Account:
    """Go on with the account as it was before the password was checked: no lock, no second look."""
    uow.accounts.update(account)
    return account


def _locked(uow: UnitOfWork, account_id: UUID) -> Account:
    try:
        return uow.accounts.get(account_id)
    except AccountNotFound as exc:
        raise InvalidCredentials from exc


def _is_open(ports: Ports, account: Account) -> bool:
    """Tell whether the account's owner may sign in by password.

    Where registering tells nobody whether an address is taken, signing in must not tell it either: whoever has just
    registered an address could see by that whether it was free.
    """
    return account.is_active and (account.email_verified or not ports.rules.private_registration)


def _upgraded(ports: Ports, password_hash: str, password: str) -> str | None:
    """Return the same password's hash under today's parameters; None if there is no need, or no time for it now."""
    if not ports.hasher.is_outdated(password_hash):
        return None
    try:
        return ports.hasher.hash(password)
    except Unavailable:
        return None


def _begin(ports: Ports, email: str, device_token: str | None, *, known_device_only: bool) -> Attempt:
    """Count the attempt before the password is looked at: guesses at the same moment are all guesses."""
    try:
        address = Email(email)
    except InvalidEmail:
        address = None
    device = ports.device_tokens.open(device_token)
    device_key = None if device is None else ports.login_keys.of_device(device.id)
    # What is no address at all is nobody's: such attempts are counted together, and nobody is locked out by them.
    address_key = ports.login_keys.of_address(address.key if address else "")
    policy = ports.rules.lockout
    with ports.unit_of_work() as uow:
        if policy.attempts is None:
            begun = BegunLogin(uow.accounts.find_by_email(address) if address else None, attempts=1)
        else:
            begun = uow.login_attempts.begin(
                address,
                address_key=address_key,
                device=device,
                device_key=device_key,
                known_device_only=known_device_only,
                now=ports.now(),
                window=policy.window,
            )
    is_known = device is not None and begun.account is not None and device.is_known_to(begun.account)
    if begun.attempts is None or (known_device_only and not is_known):
        raise TooManyFailures
    key = device_key if is_known and device_key is not None else address_key
    return Attempt(begun.account, is_known, key, begun.attempts)


def _note_failure(ports: Ports, attempt: Attempt) -> None:
    """Write down the failure, of an unknown address, too: that takes the same time."""
    with ports.unit_of_work() as uow:
        if attempt.account is None:
            uow.login_attempts.note_unknown(attempt.key, ports.now())
        else:
            # Who is told of it finds it there (`seal_audit`).
            locked = ports.rules.lockout.is_last(attempt.number)
            uow.audit.add(
                "login.failed",
                account_id=attempt.account.id,
                outcome="failure",
                details={"method": PASSWORD, "locked": locked},
            )
        uow.commit()

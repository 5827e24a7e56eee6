"""Somebody is invited: the address and the id are theirs from now on, a password is not needed yet."""

from __future__ import annotations

from typing import NamedTuple

from auth_svc.application.ports import Ports
from auth_svc.application.tell_owner import tell_owner
from auth_svc.domain.account import Account, RequestKeyReused, RequestKeyTaken, proper_name, proper_request_key
from auth_svc.domain.email import Email, EmailTaken


class Reservation(NamedTuple):
    """The invited account, and whether this very call made it."""

    account: Account
    created: bool


def reserve_account(ports: Ports, *, email: str, name: str, request_key: str) -> Reservation | None:
    """Make an invited account; the same key again gives the same account, whatever happened in between.

    With private registration the answer is None, whether or not the address was taken: the mailbox gets to know.
    """
    address, person, key = Email(email), proper_name(name), proper_request_key(request_key)
    if not ports.rules.private_registration:
        return _reserve_once(ports, address, person, key)
    try:
        _reserve_once(ports, address, person, key)
    except EmailTaken:
        tell_owner(ports, address)
    return None


def _reserve_once(ports: Ports, address: Email, person: str, key: str) -> Reservation:
    try:
        return _reserve(ports, address, person, key)
    except (EmailTakenMeanwhile, RequestKeyTaken):
        # Perhaps a parallel call with this very key was faster. Its account can be read now.
        return _reserve(ports, address, person, key)


class EmailTakenMeanwhile(EmailTaken):
    """By a transaction that was not there to be read."""


def _reserve(ports: Ports, address: Email, person: str, key: str) -> Reservation:
    with ports.unit_of_work() as uow:
        # The address first: an account that it finds, and the key does not, is not of a call with this key.
        taken = uow.accounts.find_id_by_email(address)
        made_before = uow.accounts.find_by_request_key(key)
        if made_before is not None:
            if made_before.email != address:
                raise RequestKeyReused
            return Reservation(made_before, created=False)
        if taken is not None:
            raise EmailTaken
        account = Account.invite(id=ports.new_id(), email=address, name=person, request_key=key, now=ports.now())
        uow.accounts.add(account)
        account.request_mail("claim")
        uow.audit.add("account.invited", account_id=account.id)
        try:
            uow.commit()
        except EmailTaken as exc:
            raise EmailTakenMeanwhile from exc
    return Reservation(account, created=True)

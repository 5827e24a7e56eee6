"""The owner of an account moves it to another address."""

from __future__ import annotations

from auth_svc.application.confirm_password import confirm_password
from auth_svc.application.end_sessions import end_sessions
from auth_svc.application.one_time_token import find_token
from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.email import Email, EmailTaken
from auth_svc.domain.email_change import EmailChange
from auth_svc.domain.one_time_token import InvalidToken
from auth_svc.domain.session import EMAIL_REVERT
from lib.errors import Invalid


class EmailUnchanged(Invalid):
    code = "email_unchanged"

    def __init__(self) -> None:
        super().__init__("this is the account's address already")


def change_email(ports: Ports, *, user_id: str, new_email: str, current_password: str) -> None:
    """Have a mail with a link sent to the new address, and a notice with a way back to the old one.

    The account keeps its address until the link is used. Whether the new address is taken does not show here.

    :raises WrongPassword: the current password is another
    :raises InvalidEmail, EmailUnchanged: the new address will not do
    """
    account_id = parse_id(user_id, AccountNotFound())
    address = Email(new_email)
    known = confirm_password(
        ports, account_id=account_id, current_password=current_password, purpose="email.change_requested"
    )
    if known.email == address and known.email.typed == address.typed:
        raise EmailUnchanged
    with ports.unit_of_work() as uow:
        account = uow.accounts.get(account_id)
        now = ports.now()
        for older in uow.email_changes.open_of(account_id):
            if older.is_pending:
                older.ended_at = now
        change = EmailChange(
            id=ports.new_id(), account_id=account_id, old_email=account.email, new_email=address, requested_at=now
        )
        uow.email_changes.add(change)
        account.request_mail("email_change", change.id)
        if account.email_verified:
            # Nobody has shown to read the old address otherwise: a way back would be for a stranger.
            account.request_mail("email_change_notice", change.id)
        uow.audit.add(
            "email.change_requested",
            account_id=account_id,
            personal={"old_email": account.email.typed, "new_email": address.typed},
        )
        uow.commit()


def confirm_email_change(ports: Ports, *, token: str) -> Account:
    """Take the token from the new mailbox: the account moves.

    :raises InvalidToken: unknown, used, too old, or the change was undone or replaced
    :raises EmailTaken: somebody else has the address by now
    """
    with ports.unit_of_work() as uow:
        account, found = find_token(ports, uow, token, "email_change")
        change = uow.email_changes.find(found.reference) if found.reference else None
        if change is None or not change.is_pending or not account.is_active:
            raise InvalidToken
        now = ports.now()
        found.use(now, target=change.new_email.key)
        other = uow.accounts.find_by_email(change.new_email)
        if other is not None and other.id != account.id:
            raise EmailTaken
        change.confirmed_at = now
        account.change_email(change.new_email)
        # Links that were mailed to the old address prove nothing about the new one.
        uow.one_time_tokens.use_up(account.id, now, except_for=("email_change", "email_revert"))
        uow.audit.add(
            "email.changed",
            account_id=account.id,
            actor_id=account.id,
            personal={"old_email": change.old_email.typed, "new_email": change.new_email.typed},
        )
        uow.commit()
    return account


def revert_email_change(ports: Ports, *, token: str) -> Account:
    """Take the token from the old mailbox: the account goes back to it, and whoever took it over is out.

    All sessions and the password end, and a mail to the old address helps to set a new one. A change that nobody has
    confirmed yet is just withdrawn.

    :raises InvalidToken: unknown, used, too old
    :raises EmailTaken: somebody else has the old address by now, and has shown to read its mail
    """
    with ports.unit_of_work() as uow:
        account, found = find_token(ports, uow, token, "email_revert")
        change = uow.email_changes.find(found.reference) if found.reference else None
        if change is None or change.ended_at is not None or account.status == "disabled":
            raise InvalidToken
        now = ports.now()
        found.use(now, target=change.old_email.key)
        _make_way(uow, change.old_email, account)
        for each in uow.email_changes.open_of(account.id):
            # What came later was done by whoever is put out now; its own way back must not work any more.
            if each.requested_at >= change.requested_at:
                each.ended_at = now
        if account.email != change.old_email or account.email.typed != change.old_email.typed:
            account.change_email(change.old_email)
        account.drop_password()
        end_sessions(uow, account, reason=EMAIL_REVERT, now=now)
        uow.one_time_tokens.use_up(account.id, now, except_for=("email_revert",))
        account.request_mail("password_reset")
        uow.audit.add("email.reverted", account_id=account.id, actor_id=account.id)
        uow.commit()
    return account


def _make_way(uow: UnitOfWork, address: Email, account: Account) -> None:
    """Free an address for who has just shown to read its mail.

    An account there whose owner has never shown that is somebody's who wants to keep the way back shut; it goes.

    :raises EmailTaken: its owner reads that mail, too
    """
    other = uow.accounts.find_by_email(address)
    if other is None or other.id == account.id:
        return
    squatter = uow.accounts.get(other.id)
    if squatter.email_verified:
        raise EmailTaken
    squatter.delete()
    uow.accounts.remove(squatter)
    uow.audit.add("account.deleted", account_id=squatter.id, details={"reason": "address_reverted"})
    uow.audit.forget(squatter.id)

"""The worker that sends mails: it looks up the address and makes the token only now, when the mail is on its way.

Nothing that is stored or queued before holds either. A mail is sent at least once: if the process dies between sending
and noting that, it is sent again, with the same id and the same token.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from auth_svc.application.ports import Ports
from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.email import Email
from auth_svc.domain.email_change import EmailChange
from auth_svc.domain.mail import Mail, MailKind
from auth_svc.domain.one_time_token import LIFETIMES, OneTimeToken, Purpose, slot_of
from lib.errors import MailRefused, SeenBefore

HANDLER = "send_mail"
WINDOW = timedelta(hours=1)

#: kinds that hold a token, and what it is for
PURPOSES: dict[MailKind, Purpose] = {
    "verification": "verification",
    "claim": "claim",
    "password_reset": "password_reset",
    "email_change": "email_change",
    "email_change_notice": "email_revert",
}


@dataclass(frozen=True)
class Draft:
    """What is to be sent: to whom, and about which e-mail change if it is about one."""

    kind: MailKind
    to: Email
    change: EmailChange | None = None
    facts: tuple[tuple[str, str], ...] = ()


def send_mail(ports: Ports, *, event_id: str, account_id: str, kind: MailKind, reference: str | None = None) -> None:
    """Send the mail that an event asked for, unless it was sent, or has no sense any more.

    :raises MailUnavailable: it cannot be sent now; to be tried again
    """
    mail = _prepare(ports, event_id, UUID(account_id), kind, None if reference is None else UUID(reference))
    refused = False
    if mail is not None:
        try:
            ports.mailer.send(mail)
        except MailRefused:
            refused = True
    with ports.unit_of_work() as uow, suppress(SeenBefore):
        uow.note(HANDLER, event_id)
        if mail is not None:
            # Counted when it is out: a mail that takes ten tries is one mail.
            uow.mail_counts.count(UUID(account_id), mail.kind, ports.now(), WINDOW)
            if refused:
                uow.audit.add(
                    "mail.refused", account_id=UUID(account_id), outcome="failure", details={"mail": mail.kind}
                )
        uow.commit()


def _prepare(ports: Ports, event_id: str, account_id: UUID, kind: MailKind, reference: UUID | None) -> Mail | None:
    """Return the mail, its token's hash saved; None if there is nothing to be sent."""
    with ports.unit_of_work() as uow:
        if uow.seen(HANDLER, event_id):
            return None
        try:
            # Locked for tokens' sake: two mails of a kind put theirs in the same place.
            account = uow.accounts.get(account_id)
        except AccountNotFound:
            return None
        draft = _draft(ports, uow, account, kind, reference)
        now = ports.now()
        if draft is None or not _within_limit(ports, uow, account_id, draft.kind, now):
            return None
        mail = Mail(
            id=event_id,
            kind=draft.kind,
            to=draft.to.typed,
            # Whoever registered an address may not be its owner, and would choose the words of a mail to them.
            name=account.name if account.email_verified and draft.to == account.email else None,
            facts=draft.facts,
        )
        purpose = PURPOSES.get(draft.kind)
        if purpose is not None:
            with_token = _mint(ports, uow, mail, account_id, purpose, draft, now)
            if with_token is None:
                return None
            mail = with_token
        uow.commit()
    return mail


def _draft(ports: Ports, uow: UnitOfWork, account: Account, kind: MailKind, reference: UUID | None) -> Draft | None:
    if account.status == "disabled":
        return None
    if kind in ("email_change", "email_change_notice"):
        return _change_draft(uow, account, kind, reference)
    if kind == "verification" and (account.email_verified or not account.is_active):
        return None
    if account.status == "invited":
        # Who has forgotten the password of an account that has none yet is to claim it.
        return Draft("claim", account.email) if kind in ("claim", "password_reset") else None
    if kind == "claim":
        return None
    return Draft(kind, account.email, facts=_facts(ports, uow, kind, reference))


def _change_draft(uow: UnitOfWork, account: Account, kind: MailKind, reference: UUID | None) -> Draft | None:
    change = uow.email_changes.find(reference) if reference else None
    if change is None or change.account_id != account.id or change.ended_at is not None:
        return None
    if kind == "email_change_notice":
        return Draft(kind, change.old_email, change)
    if not change.is_pending:
        return None
    other = uow.accounts.find_by_email(change.new_email)
    if other is not None and other.id != account.id:
        # Only its owner gets to know that the address is taken.
        return Draft("account_exists", change.new_email)
    return Draft(kind, change.new_email, change)


def _facts(ports: Ports, uow: UnitOfWork, kind: MailKind, reference: UUID | None) -> tuple[tuple[str, str], ...]:
    session = uow.sessions.find(reference) if kind in ("new_device", "session_ended") and reference else None
    if session is None:
        return ()
    facts = (
        ("Signed in", f"{session.authenticated_at:%Y-%m-%d %H:%M} UTC"),
        ("Address", session.ip),
        # Not what the client says of itself: a mail program would make a link of it.
        ("Device", ports.device_name(session.user_agent)),
    )
    return tuple((name, value) for name, value in facts if value)


def _within_limit(ports: Ports, uow: UnitOfWork, account_id: UUID, kind: MailKind, now: datetime) -> bool:
    most = ports.rules.mails_per_hour
    return most is None or uow.mail_counts.so_far(account_id, kind, now, WINDOW) < most


def _mint(
    ports: Ports, uow: UnitOfWork, mail: Mail, account_id: UUID, purpose: Purpose, draft: Draft, now: datetime
) -> Mail | None:
    """Return the mail with its token; None if a later mail's token has taken the place already."""
    reference = draft.change.id if draft.change else None
    slot = slot_of(purpose, reference)
    standing = uow.one_time_tokens.find(account_id, slot)
    minted_by = UUID(mail.id)
    if standing is not None and standing.minted_by > minted_by and standing.is_good(now):
        # Only one that still works: a clock that once ran ahead must not keep all later mails back.
        return None
    token = ports.one_time_tokens.token(mail.id, account_id, purpose)
    code = ports.one_time_tokens.code(mail.id, account_id, purpose) if purpose == "verification" else None
    lifetime = ports.rules.invitation_lifetime if purpose == "claim" else LIFETIMES[purpose]
    if standing is None or standing.minted_by != minted_by:
        uow.one_time_tokens.put(
            OneTimeToken(
                account_id=account_id,
                slot=slot,
                purpose=purpose,
                reference=reference,
                target=draft.to.key,
                minted_by=minted_by,
                token_hash=ports.one_time_tokens.token_hash(token),
                code_hash=None if code is None else ports.one_time_tokens.code_hash(account_id, purpose, code),
                created_at=now,
                expires_at=now + lifetime,
            )
        )
    return replace(mail, token=token, code=code, valid_for=lifetime)

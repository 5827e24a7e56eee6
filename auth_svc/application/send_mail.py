"""The worker that sends mails: it looks up the address and makes the token only now, when the mail is on its way.

Nothing that is stored or queued before holds either. A mail is sent at least once: if the process dies between sending
and noting that, it is sent again, with the same id and the same token.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from auth_svc.application.ports import Ports
from auth_svc.application.repositories import MailBasis, UnitOfWork
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.email import Email
from auth_svc.domain.email_change import EmailChange
from auth_svc.domain.mail import Mail, MailKind
from auth_svc.domain.one_time_token import LIFETIMES, OneTimeToken, Purpose, slot_of
from lib.errors import MailRefused, Overtaken, SeenBefore

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
#: kinds that are about an e-mail change: they need more than one look
OF_CHANGES: frozenset[MailKind] = frozenset({"email_change", "email_change_notice"})


@dataclass(frozen=True)
class Draft:
    """What is to be sent: to whom, and about which e-mail change if it is about one."""

    kind: MailKind
    to: Email
    change: EmailChange | None = None
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A mail that is ready to be sent.

    :param token: is to be kept first; None if the mail has none, or it was kept before
    """

    mail: Mail
    token: OneTimeToken | None = None


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
    if kind not in OF_CHANGES:
        with suppress(Overtaken):
            return _prepare_as_read(ports, event_id, account_id, kind, reference)
    return _prepare_locked(ports, event_id, account_id, kind, reference)


def _prepare_as_read(
    ports: Ports, event_id: str, account_id: UUID, kind: MailKind, reference: UUID | None
) -> Mail | None:
    """Prepare the mail without a lock: one look, and one message to save its token if nothing has changed by then.

    A mail without a token saves nothing: it is the one that was to be sent at the moment of the look.

    :raises Overtaken: it is to be done with a lock
    """
    with ports.unit_of_work() as uow:
        since = ports.now() - WINDOW
        basis = uow.accounts.find_for_mail(
            account_id, kind=kind, slot=_slot(kind), since=since, unless_seen=(HANDLER, event_id)
        )
        draft = None if basis is None else _draft(ports, uow, basis.account, kind, reference)
        if basis is None or draft is None:
            return None
        if draft.kind != kind:
            # Token and count were those of another kind.
            raise Overtaken
        prepared = _write(ports, event_id, basis, draft)
        if prepared is None:
            return None
        if prepared.token is not None:
            uow.accounts.hold(basis.account)
            uow.one_time_tokens.replace(basis.token, prepared.token)
            uow.commit()
    return prepared.mail


def _prepare_locked(
    ports: Ports, event_id: str, account_id: UUID, kind: MailKind, reference: UUID | None
) -> Mail | None:
    with ports.unit_of_work() as uow:
        if uow.seen(HANDLER, event_id):
            return None
        try:
            # Locked for tokens' sake: two mails of a kind put theirs in the same place.
            account = uow.accounts.get(account_id)
        except AccountNotFound:
            return None
        draft = _draft(ports, uow, account, kind, reference)
        if draft is None:
            return None
        slot = _slot(draft.kind, draft.change)
        standing = uow.one_time_tokens.find(account_id, slot) if slot else None
        mails = uow.mail_counts.so_far(account_id, draft.kind, ports.now(), WINDOW)
        prepared = _write(ports, event_id, MailBasis(account, standing, mails), draft)
        if prepared is None:
            return None
        if prepared.token is not None:
            uow.one_time_tokens.put(prepared.token)
        uow.commit()
    return prepared.mail


def _slot(kind: MailKind, change: EmailChange | None = None) -> str | None:
    purpose = PURPOSES.get(kind)
    return None if purpose is None else slot_of(purpose, None if change is None else change.id)


def _draft(ports: Ports, uow: UnitOfWork, account: Account, kind: MailKind, reference: UUID | None) -> Draft | None:
    if account.status == "disabled":
        return None
    if kind in OF_CHANGES:
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


def _write(ports: Ports, event_id: str, basis: MailBasis, draft: Draft) -> Prepared | None:
    """Return the mail; None if there were too many, or a later mail's token has taken its place already."""
    most = ports.rules.mails_per_hour
    if most is not None and basis.mails >= most:
        return None
    account = basis.account
    mail = Mail(
        id=event_id,
        kind=draft.kind,
        to=draft.to.typed,
        # Whoever registered an address may not be its owner, and would choose the words of a mail to them.
        name=account.name if account.email_verified and draft.to == account.email else None,
        facts=draft.facts,
    )
    purpose = PURPOSES.get(draft.kind)
    return Prepared(mail) if purpose is None else _with_token(ports, mail, basis, purpose, draft)


def _with_token(ports: Ports, mail: Mail, basis: MailBasis, purpose: Purpose, draft: Draft) -> Prepared | None:
    account_id, standing, now = basis.account.id, basis.token, ports.now()
    minted_by = UUID(mail.id)
    if standing is not None and standing.minted_by > minted_by and standing.is_good(now):
        # Only one that still works: a clock that once ran ahead must not keep all later mails back.
        return None
    token = ports.one_time_tokens.token(mail.id, account_id, purpose)
    code = ports.one_time_tokens.code(mail.id, account_id, purpose) if purpose == "verification" else None
    lifetime = ports.rules.invitation_lifetime if purpose == "claim" else LIFETIMES[purpose]
    mail = replace(mail, token=token, code=code, valid_for=lifetime)
    if standing is not None and standing.minted_by == minted_by:
        # Of an earlier try. As it stands: one that was used meanwhile must not work again.
        return Prepared(mail)
    reference = draft.change.id if draft.change else None
    kept = OneTimeToken(
        account_id=account_id,
        slot=slot_of(purpose, reference),
        purpose=purpose,
        reference=reference,
        target=draft.to.key,
        minted_by=minted_by,
        token_hash=ports.one_time_tokens.token_hash(token),
        code_hash=None if code is None else ports.one_time_tokens.code_hash(account_id, purpose, code),
        created_at=now,
        expires_at=now + lifetime,
    )
    return Prepared(mail, kept)

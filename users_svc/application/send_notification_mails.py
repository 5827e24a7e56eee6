"""Mails about notifications leave when they are due: at least once, and each try under the same id."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from lib.errors import MailRefused, MailUnavailable
from users_svc.application.ports import Ports
from users_svc.domain.notification_mail import LEASE, NotificationLetter, NotificationMail, Objection, is_old
from users_svc.domain.notification_preferences import NotificationPreferences
from users_svc.domain.notification_types import TYPES
from users_svc.domain.visibility import viewer_of, visible_fields

log = logging.getLogger(__name__)

RUN = timedelta(seconds=30)
"""One run of the job ends after so long, mails or no mails: a service that is to stop waits for it."""


def send_notification_mails(ports: Ports) -> int:
    """Send what is due, one mail after the other; return how many left.

    A mail is taken for a while and not locked: the server may take its time. If the process dies after sending and
    before noting that, it is taken again when the time is up, and leaves with the same id.
    """
    sent, began = 0, ports.now()
    while (now := ports.now()) < began + RUN:
        with ports.unit_of_work() as uow:
            mail = uow.notifications.take_mail(now, until=now + LEASE)
            uow.commit()
        if mail is None:
            return sent
        try:
            sent += _send(ports, mail, now)
        except MailUnavailable as exc:
            _put_off(ports, mail, exc)
            return sent
        except Exception as exc:
            # One that cannot be written must not keep the others back, nor come back for ever.
            _put_off(ports, mail, exc)
    return sent


def _send(ports: Ports, mail: NotificationMail, now: datetime) -> bool:
    """Send the mail if it still has a sense now."""
    kind = TYPES[mail.type]
    reader = ports.profiles.find(mail.user_id)
    actor = None if mail.actor_id is None else ports.people.view(mail.actor_id, mail.user_id)
    with ports.unit_of_work() as uow:
        preferences = uow.preferences.notification_preferences(mail.user_id)
        unwelcome = mail.actor_id is not None and uow.notifications.is_unwelcome(mail.user_id, mail.actor_id)
    objection = _objection_to(mail, now, reader=reader, actor=actor, unwelcome=unwelcome, preferences=preferences)
    if reader is None or objection is not None:
        return _drop(ports, mail, objection or "no_reader")
    due_at = now if kind.security else preferences.mail_due(now, reader["time_zone"])
    if due_at > now:
        # The quiet hours were changed since, or it took until now to get one through.
        _settle(ports, mail, due_at)
        return False
    if kind.social and (too_much := _take_place(ports, mail, now)) is not None:
        return _drop(ports, mail, too_much)
    try:
        ports.mailer.send(_letter(ports, mail, reader, actor))
    except MailRefused as exc:
        # It never will be taken. The notification is in the inbox all the same.
        log.warning("a mail about a notification was refused: %s (%s)", mail.id, exc)
        ports.mail_tally.failed(mail.type, "refused")
        _settle(ports, mail, None)
        return False
    ports.mail_tally.sent(mail.type)
    _settle(ports, mail, None)
    return True


def _objection_to(
    mail: NotificationMail,
    now: datetime,
    *,
    reader: Mapping[str, Any] | None,
    actor: Mapping[str, Any] | None,
    unwelcome: bool,
    preferences: NotificationPreferences,
) -> Objection | None:
    """Return why nobody needs the mail any more, if so.

    :param actor: as the reader sees them
    """
    still = TYPES[mail.type].stands_while
    objections: list[tuple[Objection, bool]] = [
        ("no_reader", reader is None or reader["disabled"]),
        # Whoever registered an address may not be its owner, and would write to them with a name of their choice.
        ("unproved_address", reader is not None and reader["email_key"] is None),
        ("too_old", is_old(mail.created_at, now)),
        ("unwelcome", unwelcome),
        ("no_actor", mail.actor_id is not None and (actor is None or actor["disabled"])),
        ("undone", actor is not None and still is not None and not actor[still]),
        ("unwanted", not preferences.wants(mail.type, "email")),
    ]
    return next((each for each, holds in objections if holds), None)


def _take_place(ports: Ports, mail: NotificationMail, now: datetime) -> Objection | None:
    """Count the mail among those that somebody may get about other people; return why it is none of them, if so."""
    with ports.unit_of_work() as uow:
        if uow.notifications.inbox(mail.user_id) is None:
            return "no_reader"
        objection = uow.notifications.sent_mails(mail, now).objection(ports.notification_rules.social_mails_per_hour)
        if objection is None:
            uow.notifications.note_sent(mail, now)
            uow.commit()
    return objection


def _letter(
    ports: Ports, mail: NotificationMail, reader: Mapping[str, Any], actor: Mapping[str, Any] | None
) -> NotificationLetter:
    name = None
    if actor is not None:
        seen = visible_fields(actor, viewer_of(actor, str(mail.user_id), is_admin=False))
        name = seen.get("display_name") or seen.get("handle")
    optional = not TYPES[mail.type].security
    return NotificationLetter(
        id=str(mail.id),
        kind=mail.type,
        to=reader["email"],
        name=reader["display_name"],
        data=mail.data,
        actor=name,
        happened_at=mail.created_at,
        unsubscribe_token=ports.unsubscribe_tokens.token(mail.user_id, mail.type) if optional else None,
    )


def _drop(ports: Ports, mail: NotificationMail, objection: Objection) -> Literal[False]:
    log.info("a mail about a notification is not sent: %s, %s", mail.id, objection)
    ports.mail_tally.dropped(mail.type, objection)
    _settle(ports, mail, None)
    return False


def _put_off(ports: Ports, mail: NotificationMail, error: Exception) -> None:
    due_at = mail.next_try(ports.now())
    away = isinstance(error, MailUnavailable)
    what = "given up" if due_at is None else f"put off until {due_at:%H:%M:%S}"
    # Only our own words: others may hold what somebody wrote.
    why = str(error) if away else type(error).__name__
    log.warning("a mail about a notification cannot be sent: %s, %s (%s)", mail.id, what, why)
    ports.mail_tally.failed(mail.type, "given_up" if due_at is None else "unavailable" if away else "error")
    _settle(ports, mail, due_at)


def _settle(ports: Ports, mail: NotificationMail, due_at: datetime | None) -> None:
    """Note when to try the mail again; None for never."""
    with ports.unit_of_work() as uow:
        if due_at is None:
            uow.notifications.forget_mail(mail.id)
        else:
            uow.notifications.postpone_mail(mail.id, due_at)
        uow.commit()

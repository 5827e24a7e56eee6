"""Mails about notifications leave when they are due: at least once, and each try under the same id."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from lib.errors import MailRefused, MailUnavailable
from users_svc.application.ports import Ports
from users_svc.domain.notification_mail import LEASE, NotificationLetter, NotificationMail
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
    """Send the mail if somebody still wants it now."""
    profile = ports.profiles.find(mail.user_id)
    with ports.unit_of_work() as uow:
        preferences = uow.preferences.notification_preferences(mail.user_id)
        unwelcome = mail.actor_id is not None and uow.notifications.is_unwelcome(mail.user_id, mail.actor_id)
    actor = None if mail.actor_id is None else ports.people.view(mail.actor_id, mail.user_id)
    gone = mail.actor_id is not None and (actor is None or actor["disabled"])
    # Whoever registered an address may not be its owner, and would write to them with a name of their choice.
    nobodys = profile is None or profile["disabled"] or profile["email_key"] is None
    if profile is None or nobodys or unwelcome or gone or not preferences.wants(mail.type, "email"):
        _settle(ports, mail, None)
        return False
    due_at = preferences.mail_due(now, profile["time_zone"])
    if due_at > now:
        # The quiet hours were changed since, or it took until now to get one through.
        _settle(ports, mail, due_at)
        return False
    name = None
    if actor is not None:
        seen = visible_fields(actor, viewer_of(actor, str(mail.user_id), is_admin=False))
        name = seen.get("display_name") or seen.get("handle")
    letter = NotificationLetter(
        id=str(mail.id),
        kind=mail.type,
        to=profile["email"],
        name=profile["display_name"],
        data=mail.data,
        actor=name,
        happened_at=mail.created_at,
        unsubscribe_token=ports.unsubscribe_tokens.token(mail.user_id, mail.type),
    )
    try:
        ports.mailer.send(letter)
    except MailRefused as exc:
        # It never will be taken. The notification is in the inbox all the same.
        log.warning("a mail about a notification was refused: %s (%s)", mail.id, exc)
        _settle(ports, mail, None)
        return False
    _settle(ports, mail, None)
    return True


def _put_off(ports: Ports, mail: NotificationMail, error: Exception) -> None:
    due_at = mail.next_try(ports.now())
    what = "given up" if due_at is None else f"put off until {due_at:%H:%M:%S}"
    # Only our own words: others may hold what somebody wrote.
    why = str(error) if isinstance(error, MailUnavailable) else type(error).__name__
    log.warning("a mail about a notification cannot be sent: %s, %s (%s)", mail.id, what, why)
    _settle(ports, mail, due_at)


def _settle(ports: Ports, mail: NotificationMail, due_at: datetime | None) -> None:
    """Note when to try the mail again; None for never."""
    with ports.unit_of_work() as uow:
        if due_at is None:
            uow.notifications.forget_mail(mail.id)
        else:
            uow.notifications.postpone_mail(mail.id, due_at)
        uow.commit()

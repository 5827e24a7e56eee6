"""Something happened that a person is to be told of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from users_svc.application.get_profile import get_profile
from users_svc.application.ports import Ports, UnitOfWork
from users_svc.domain.notification import News
from users_svc.domain.notification_mail import NotificationMail, is_old
from users_svc.domain.notification_types import TYPES, NotificationType
from users_svc.domain.profile import UserNotFound

TIME_TO_READ = timedelta(minutes=1)
"""Nobody needs a mail about what they have just read."""


def notify(
    ports: Ports,
    *,
    event_id: str,
    occurred_at: str,
    user_id: str,
    type: str,
    data: dict[str, Any] | None = None,
    actor_id: str | None = None,
    mailed_otherwise: bool = False,
) -> None:
    """Tell the person by the channels that they want to be told by, once for each event.

    Nobody is told of somebody whom they block or mute, or who blocks them. What somebody else does again while the
    person has not read that they did it, or a mail about it waits, changes nothing: there is one unread notification
    for each type and person, however often they do and undo it.

    The event may be here before that of the account: then the profile is opened now. The news of a deleted account is
    nobody's. An event that is sent again after a long time is no news: no mailbox gets it, and later no inbox either.

    :param event_id: of the event that tells it
    :param occurred_at: the event's own time, RFC 3339
    :param user_id: whom to tell
    :param type: one of `TYPES`
    :param actor_id: who did it, where that is another person
    :param mailed_otherwise: another mail tells the same thing
    """
    kind, owner, happened_at = TYPES[type], UUID(user_id), datetime.fromisoformat(occurred_at)
    actor, event = None if actor_id is None else UUID(actor_id), UUID(event_id)
    try:
        # Outside of the transaction, as it may ask another service.
        profile = get_profile(ports, user_id=str(owner))
    except UserNotFound:
        return
    now, id = ports.now(), ports.new_id()
    news = News(
        user_id=owner,
        type=kind.name,
        event_id=event,
        # Clocks differ.
        happened_at=min(now, happened_at),
        actor_id=actor,
        data=data or {},
    )
    too_old = False
    with ports.unit_of_work() as uow:
        if not uow.first_time("notify", event_id):
            return
        inbox = uow.notifications.inbox(owner)
        if inbox is None:
            return
        if not _is_idle(uow, kind, news):
            preferences = uow.preferences.notification_preferences(owner)
            in_app = preferences.wants(type, "in_app") and ports.notification_rules.is_news(news.happened_at, now)
            if in_app and not uow.notifications.add(inbox.deliver(news, id=id)):
                # Told before, so long ago that the note of the event is gone: undo all of it, the number too.
                return
            if preferences.wants(type, "email") and not kind.mailed_by_auth and not mailed_otherwise:
                too_old = is_old(news.happened_at, now)
                if not too_old:
                    due_at = now if kind.security else preferences.mail_due(now + TIME_TO_READ, profile["time_zone"])
                    uow.notifications.add_mail(NotificationMail.of(news, id=id, due_at=due_at))
        uow.commit()
    if too_old:
        ports.mail_tally.dropped(type, "too_old")


def _is_idle(uow: UnitOfWork, kind: NotificationType, news: News) -> bool:
    """Tell whether the person does not want to know it, or knows it."""
    if news.actor_id is None:
        return False
    if uow.notifications.is_unwelcome(news.user_id, news.actor_id):
        return True
    return kind.social and uow.notifications.is_told(news.user_id, kind.name, news.actor_id)

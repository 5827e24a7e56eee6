"""Something happened that a person is to be told of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from users_svc.application.get_profile import get_profile
from users_svc.application.ports import Ports
from users_svc.domain.notification import News
from users_svc.domain.notification_mail import NotificationMail
from users_svc.domain.notification_types import TYPES
from users_svc.domain.profile import UserNotFound

TIME_TO_READ = timedelta(minutes=1)
"""Nobody needs a mail about what they have just read."""


def notify(
    ports: Ports,
    *,
    event_id: str,
    user_id: str,
    type: str,
    data: dict[str, Any] | None = None,
    actor_id: str | None = None,
) -> None:
    """Tell the person by the channels that they want to be told by, once for each event.

    Nobody is told of somebody whom they block or mute, or who blocks them. The event may be here before that of the
    account: then the profile is opened now. The news of a deleted account is nobody's.

    :param event_id: of the event that tells it
    :param user_id: whom to tell
    :param type: one of `TYPES`
    :param actor_id: who did it, where that is another person
    """
    news = News(
        user_id=UUID(user_id),
        type=TYPES[type].name,
        event_id=UUID(event_id),
        actor_id=None if actor_id is None else UUID(actor_id),
        data=data or {},
    )
    try:
        # Outside of the transaction, as it may ask another service.
        profile = get_profile(ports, user_id=str(news.user_id))
    except UserNotFound:
        return
    now, id = ports.now(), ports.new_id()
    with ports.unit_of_work() as uow:
        if not uow.first_time("notify", event_id):
            return
        inbox = uow.notifications.inbox(news.user_id)
        if inbox is None:
            return
        if news.actor_id is None or not uow.notifications.is_unwelcome(news.user_id, news.actor_id):
            preferences = uow.preferences.notification_preferences(news.user_id)
            if preferences.wants(type, "in_app") and not uow.notifications.add(inbox.deliver(news, id=id, now=now)):
                # Told before, so long ago that the note of the event is gone: undo all of it, the number too.
                return
            if preferences.wants(type, "email"):
                due_at = preferences.mail_due(now + TIME_TO_READ, profile["time_zone"])
                uow.notifications.add_mail(NotificationMail.of(news, id=id, now=now, due_at=due_at))
        uow.commit()

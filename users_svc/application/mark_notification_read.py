"""Somebody has read one of their notifications."""

from __future__ import annotations

from users_svc.application.notification_pages import parse_notification_id
from users_svc.application.ports import Ports
from users_svc.domain.notification import NotificationNotFound
from users_svc.domain.notification_types import SECURITY_TYPES
from users_svc.domain.profile import parse_user_id


def mark_notification_read(ports: Ports, *, user_id: str, notification_id: str) -> None:
    """Note that the owner has read it; no mail comes about it any more, unless it is about the account's security: that
    may have been read by somebody else. Once more changes nothing."""
    owner, wanted = parse_user_id(user_id), parse_notification_id(notification_id)
    with ports.unit_of_work() as uow:
        inbox = uow.notifications.inbox(owner)
        notification = uow.notifications.find(owner, wanted)
        if inbox is None or notification is None:
            raise NotificationNotFound("there is no such notification")
        inbox.mark_read(notification, ports.now())
        if notification.type not in SECURITY_TYPES:
            uow.notifications.forget_mail(notification.id)
        uow.commit()

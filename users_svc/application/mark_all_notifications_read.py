"""Somebody has read all of their notifications."""

from __future__ import annotations

from users_svc.application.notification_pages import checked_number
from users_svc.application.ports import Ports
from users_svc.domain.profile import parse_user_id


def mark_all_notifications_read(ports: Ports, *, user_id: str, up_to: int | None = None) -> None:
    """Note that the owner has read them; no mails come about them any more, but those about the account's security.

    :param up_to: the newest number that they have seen; None for all that there are
    """
    owner = parse_user_id(user_id)
    newest = None if up_to is None else checked_number(up_to)
    with ports.unit_of_work() as uow:
        inbox = uow.notifications.inbox(owner)
        if inbox is None:
            return
        inbox.unread -= uow.notifications.mark_all_read(
            owner, inbox.sequence if newest is None else newest, ports.now()
        )
        uow.commit()

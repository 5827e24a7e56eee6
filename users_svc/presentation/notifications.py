"""users_svc on the broker: notifications."""

from __future__ import annotations

from typing import Any

from lib.access import owner
from lib.caller import Caller
from lib.every import every
from lib.rpc import rpc
from users_svc.application.count_waiting_mails import count_waiting_mails
from users_svc.application.delete_notification import delete_notification
from users_svc.application.list_notifications import list_notifications, notifications_after
from users_svc.application.mark_all_notifications_read import mark_all_notifications_read
from users_svc.application.mark_notification_read import mark_notification_read
from users_svc.application.ports import Ports
from users_svc.application.purge_notifications import purge_notifications
from users_svc.application.send_notification_mails import send_notification_mails
from users_svc.presentation.news import NewsHandlers
from users_svc.presentation.notification_schemas import NOTIFICATION_NEWS, NOTIFICATION_PAGE


class NotificationRpc(NewsHandlers):
    """Part of `UsersService`."""

    ports: Ports
    caller: Caller

    @rpc(allow=owner("user_id"), idempotent=True)
    def list_notifications(
        self, user_id: str, limit: int = 20, cursor: str | None = None, unread_only: bool = False
    ) -> dict[str, Any]:
        """List the notifications of an account, the newest first.

        :param user_id: whose, a UUID; only its owner may ask
        :param limit: 1 to 100
        :param cursor: ``next_cursor`` of the page before
        :param unread_only: leave out those that are read
        :returns: ``{"data": [{"id", "number", "type", "data", "actor", "created_at", "read_at"}], "next_cursor",
            "unread"}``. Numbers count from 1 for each account in the order in which notifications came; ``actor`` is
            ``{"id", "handle", "display_name", "avatar_url"}`` of who did it, or null: nobody did, or they are not there
            for the account, or not any more; ``created_at`` is when it happened; ``unread`` counts all unread ones.
            Old ones go by themselves: their numbers are not given again, and a list goes on past them
        :raises Fault: ``malformed/invalid_cursor``, ``invalid/invalid_limit``; ``not_found/user_not_found`` for what is
            no UUID
        """
        page = list_notifications(self.ports, user_id=user_id, limit=limit, cursor=cursor, unread_only=unread_only)
        return dict(NOTIFICATION_PAGE.dump(page))

    @rpc(allow=owner("user_id"), idempotent=True)
    def notifications_after(self, user_id: str, number: int | None, limit: int = 100) -> dict[str, Any]:
        """Return what has come since a notification that the caller has.

        A number is given when its notification is committed, and in that order: whoever has asked for all up to a
        number never finds a smaller one later.

        :param user_id: whose, a UUID; only its owner may ask
        :param number: of the notification, 0 for the beginning; null for none at all, only the counts
        :param limit: 1 to 100; if so many come back, there may be more after the last of them
        :returns: ``{"data": …, "last", "unread"}``: the notifications as in `list_notifications`, but the oldest first;
            the newest number that was given, 0 if none was; how many are unread
        :raises Fault: ``invalid/invalid_argument``, ``invalid/invalid_limit``; ``not_found/user_not_found`` for what is
            no UUID
        """
        news = notifications_after(self.ports, user_id=user_id, number=number, limit=limit)
        return dict(NOTIFICATION_NEWS.dump(news))

    @rpc(allow=owner("user_id"), idempotent=True)
    def mark_notification_read(self, user_id: str, notification_id: str) -> None:
        """Note that a notification was read; no mail comes about it any more, unless it is of the account's security.

        Once more changes nothing.

        :param user_id: whose, a UUID
        :param notification_id: as `list_notifications` shows it
        :raises Fault: ``not_found/notification_not_found``, also for somebody else's; ``not_found/user_not_found`` for
            what is no UUID
        """
        mark_notification_read(self.ports, user_id=user_id, notification_id=notification_id)

    @rpc(allow=owner("user_id"), idempotent=True)
    def mark_all_notifications_read(self, user_id: str, up_to: int | None = None) -> None:
        """Note that all notifications were read.

        :param user_id: whose, a UUID
        :param up_to: the newest number that the owner has seen: what came later stays unread; null for all
        :raises Fault: ``invalid/invalid_argument``; ``not_found/user_not_found`` for what is no UUID
        """
        mark_all_notifications_read(self.ports, user_id=user_id, up_to=up_to)

    @rpc(allow=owner("user_id"))
    def delete_notification(self, user_id: str, notification_id: str) -> None:
        """Remove a notification for good; the numbers of the others stay.

        :param user_id: whose, a UUID
        :param notification_id: as `list_notifications` shows it
        :raises Fault: ``not_found/notification_not_found``, also for somebody else's and for one that is deleted
            already; ``not_found/user_not_found`` for what is no UUID
        """
        delete_notification(self.ports, user_id=user_id, notification_id=notification_id)

    @every(seconds=1)
    def send_notification_mails(self) -> None:
        """Send the mails about notifications that are due. Every instance does; the database shares the work out."""
        send_notification_mails(self.ports)

    @every(seconds=300)
    def purge_notifications(self) -> None:
        """Delete notifications that are too old, or too many. Every instance does; the database shares the work out."""
        purge_notifications(self.ports)

    @every(seconds=15)
    def count_waiting_mails(self) -> None:
        """Keep the gauge of mails that wait."""
        count_waiting_mails(self.ports)

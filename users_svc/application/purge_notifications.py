"""Notifications do not stay for ever."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from users_svc.application.notification_ports import Outdated
from users_svc.application.ports import Ports
from users_svc.domain.notification_mail import DAY

BATCH = 1_000
"""Notifications in one transaction, people in one round."""

RUN = timedelta(seconds=10)
"""One run of the job ends after so long: a service that is to stop waits for it."""


def purge_notifications(ports: Ports, *, batch: int = BATCH) -> int:
    """Delete what has been read, or has been there, for too long, and the oldest of those who have too many; return how
    many notifications went.

    Each inbox is locked for it, as by everybody who changes notifications: the count of unread ones stays exact. One
    that somebody else has locked, maybe another instance that does the same, is left for the next run. Numbers stay as
    they are, and the newest of an inbox is remembered without its notification.
    """
    rules, began = ports.notification_rules, ports.now()
    outdated = Outdated(began - rules.kept, began - rules.read_kept, rules.most)
    purged = 0
    while True:
        people = ports.notifications.owners_of(outdated, at_most=batch)
        gone = 0
        for user_id in people:
            gone += _purge(ports, user_id, outdated, batch)
            if ports.now() >= began + RUN:
                return purged + gone
        purged += gone
        if not gone:
            break
    _forget_sent_mails(ports)
    return purged


def _purge(ports: Ports, user_id: UUID, outdated: Outdated, batch: int) -> int:
    with ports.unit_of_work() as uow:
        inbox = uow.notifications.free_inbox(user_id)
        if inbox is None:
            return 0
        gone, unread = uow.notifications.purge(user_id, outdated, at_most=batch)
        inbox.purge(gone, unread=unread)
        uow.commit()
    return gone


def _forget_sent_mails(ports: Ports) -> None:
    with ports.unit_of_work() as uow:
        uow.notifications.forget_sent(ports.now() - DAY, at_most=BATCH * 10)
        uow.commit()

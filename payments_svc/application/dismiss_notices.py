"""An operator has looked at parked messages, and nothing is to be done about them."""

from __future__ import annotations

from uuid import UUID

from payments_svc.application.ports import Ports
from payments_svc.application.replay_notices import list_parked
from payments_svc.domain.details import MAX_TEXT, checked_note
from payments_svc.domain.notice import NoticeNotFound


def dismiss_notice(ports: Ports, *, notice_id: UUID, reason: str) -> None:
    """Dismiss one message, whatever it is parked for.

    :param reason: why, kept with the message
    :raises NoticeNotFound: there is no such message
    :raises NoticeNotParked: it does not wait for anybody
    """
    why = checked_note(reason, "/reason", longest=MAX_TEXT)
    with ports.unit_of_work() as uow:
        notice = uow.notices.get(notice_id)
        if notice is None:
            raise NoticeNotFound("there is no such message")
        notice.dismiss(why, ports.now())
        uow.notices.save(notice)
        uow.commit()


def dismiss_parked(ports: Ports, *, type: str, reason: str) -> int:
    """Dismiss all parked messages of a type, in the provider's words, but for alarms; return how many."""
    why = checked_note(reason, "/reason", longest=MAX_TEXT)
    dismissed = 0
    for each in list_parked(ports, type=type):
        with ports.unit_of_work() as uow:
            notice = uow.notices.get(each)
            # Since it was listed it may have been replayed, and be parked for something worse.
            if notice is None or not notice.is_one_of_many:
                continue
            notice.dismiss(why, ports.now())
            uow.notices.save(notice)
            uow.commit()
        dismissed += 1
    return dismissed

"""An operator has messages processed once more that were put aside."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from payments_svc.application.ports import Ports, Row
from payments_svc.domain.notice import NoticeNotFound, NoticeStatus

AT_ONCE = 100


def replay_notice(ports: Ports, *, notice_id: UUID) -> None:
    """Have one message processed once more, whatever became of it before."""
    with ports.unit_of_work() as uow:
        notice = uow.notices.get(notice_id)
        if notice is None:
            raise NoticeNotFound("there is no such message")
        notice.ask_for_processing()
        uow.notices.save(notice)
        uow.commit()


def replay_parked(ports: Ports, *, type: str | None = None) -> int:
    """Have all parked messages processed once more, but for alarms (`ParkedFor.is_alarm`); return how many.

    :param type: only those of a type, in the provider's words
    """
    replayed = 0
    for each in list_parked(ports, type=type):
        with ports.unit_of_work() as uow:
            notice = uow.notices.get(each)
            # Since it was listed somebody may have dealt with it.
            if notice is None or not notice.is_one_of_many:
                continue
            notice.ask_for_processing()
            uow.notices.save(notice)
            uow.commit()
        replayed += 1
    return replayed


def list_parked(ports: Ports, *, type: str | None = None) -> Iterator[UUID]:
    """Give the ids of all parked messages that are no alarms, newest first. Each of those is dealt with by its id: one
    that was replayed would only be raised again.
    """
    before = None
    while page := list_notices(ports, status=NoticeStatus.PARKED, type=type, limit=AT_ONCE, before=before):
        before = page[-1]["id"]
        yield from (each["id"] for each in page if not each["error"].is_alarm)


def list_notices(
    ports: Ports,
    *,
    status: NoticeStatus | None = None,
    type: str | None = None,
    limit: int = AT_ONCE,
    before: UUID | None = None,
) -> list[Row]:
    """Return messages, newest first, without what they say."""
    with ports.unit_of_work() as uow:
        return uow.notices.find(status=status, type=type, limit=limit, before=before)

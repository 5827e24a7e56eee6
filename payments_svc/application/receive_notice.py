"""A message comes from a provider: prove it, store it, and let somebody look later."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from payments_svc.application.ports import Ports
from payments_svc.domain.notice import (
    UNREADABLE,
    InvalidNotice,
    ParkedFor,
    ProviderNotFound,
    StoredNotice,
    check_name,
    storable,
    storable_text,
)

LONGEST_UNREADABLE = 10_000
"""Characters that are kept of what cannot be read."""


@dataclass(frozen=True)
class Receipt:
    """:param is_new: False: the same message came before
    :param id: of the stored message; None if it is not new
    """

    is_new: bool
    type: str
    id: UUID | None = None


def receive_notice(ports: Ports, *, provider: str, body: bytes, signature: str, correlation_id: str) -> Receipt:
    """Store a message that is proved to be the provider's.

    What is proved and cannot be read is stored, too, and put aside for a person: the provider would only send it again.

    :param body: the raw bytes, as they were signed
    :raises ProviderNotFound: there is no such provider
    :raises InvalidSignature: it is not proved; nothing is stored
    """
    adapter = ports.providers.get(provider)
    if adapter is None:
        raise ProviderNotFound("there is no such provider")
    now = ports.now()
    payload: dict[str, Any]
    try:
        told = adapter.read_notice(body, signature, now)
        event_id, type, payload = check_name(told.event_id), check_name(told.type), storable(told.payload)
        is_readable = True
    except InvalidNotice:
        # The same bytes are the same message.
        event_id, type, is_readable = f"sha256:{sha256(body).hexdigest()}", UNREADABLE, False
        # Cut only once nothing is left that must not be kept: a half of a card number is not found any more.
        payload = {"text": storable_text(body.decode(errors="replace"))[:LONGEST_UNREADABLE]}
    notice = StoredNotice(
        id=ports.new_id(),
        provider=provider,
        event_id=event_id,
        type=type,
        payload=payload,
        correlation_id=correlation_id,
        received_at=now,
    )
    if is_readable:
        notice.ask_for_processing()
    else:
        notice.park(ParkedFor.UNREADABLE, now)
    with ports.unit_of_work() as uow:
        if not uow.notices.add(notice):
            return Receipt(is_new=False, type=type)
        uow.commit()
    return Receipt(is_new=True, type=type, id=notice.id)

"""An administrator has seen what others do not see, at another service: that is written down, too."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from auth_svc.application.ports import Ports
from lib.errors import SeenBefore
from lib.ids import rfc3339

HANDLER = "note_inspection"


def note_inspection(ports: Ports, *, event_id: str, account_id: str, actor_id: str, occurred_at: str) -> None:
    """Append an entry to the audit trail, once for each event.

    :param account_id: whose profile it was
    :param actor_id: the administrator
    :param occurred_at: when they looked, RFC 3339; the entry is as late as the event
    """
    looked_at = rfc3339(datetime.fromisoformat(occurred_at))
    with ports.unit_of_work() as uow, suppress(SeenBefore):
        uow.note(HANDLER, event_id)
        uow.audit.add(
            "profile.read", account_id=UUID(account_id), actor_id=UUID(actor_id), details={"looked_at": looked_at}
        )
        uow.commit()

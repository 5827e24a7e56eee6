"""What administrators look at is written down, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.domain.account import AccountNotFound
from auth_svc.domain.reason import proper_reason


def note_reading(
    ports: Ports,
    kind: str,
    *,
    account_id: str | None = None,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
    personal: Mapping[str, str] | None = None,
) -> None:
    """Append an entry if an account reads what is not its own; the system's own reading is none of this.

    :param kind: what was read, like ``account.read``
    :param account_id: whose
    :param reason: 1 to 500 characters, if one was given
    """
    reader = ports.origin().actor_id
    whose = None if account_id is None else parse_id(account_id, AccountNotFound())
    if reader is None or reader == whose:
        return
    why = {} if reason is None else {"reason": proper_reason(reason)}
    with ports.unit_of_work() as uow:
        uow.audit.add(kind, account_id=whose, details=details, personal={**(personal or {}), **why})
        uow.commit()

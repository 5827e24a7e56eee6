"""The audit trail on PostgreSQL: rows that are only ever added, sealed into a hash chain a moment later (`lib.chain`).

Personal data in them is encrypted with the key of the person whose it is: of who acts, or else of whom it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from auth_svc.application.ports import Origin
from auth_svc.application.repositories import Outcome, SealedBatch, SealedEntry
from auth_svc.infrastructure.subject_keys import SubjectKeys
from auth_svc.infrastructure.tables import audit_events, audit_seals, audit_unsealed
from lib import context
from lib.chain import HashChain
from lib.ids import new_id, utc_now
from lib.uow import SqlUnitOfWork
from lib.writes import inserting

LOCK = 7_420_115

CHAIN = HashChain(audit_events, audit_seals, audit_unsealed, lock=LOCK)

_APPEND = inserting(audit_events)
_ENLIST = inserting(audit_unsealed, leave_out=("added_at",))


class AuditWriter:
    """What all transactions share.

    :param origin: who calls, from where
    """

    def __init__(self, keys: SubjectKeys, origin: Callable[[], Origin]) -> None:
        self.keys = keys
        self.origin = origin


class SqlAuditTrail:
    """The entries of one transaction; written on commit."""

    def __init__(self, uow: SqlUnitOfWork, writer: AuditWriter) -> None:
        self._uow = uow
        self._writer = writer
        self._entries: list[tuple[dict[str, Any], UUID | None, dict[str, Any]]] = []

    def add(
        self,
        kind: str,
        *,
        account_id: UUID | None,
        outcome: Outcome = "success",
        session_id: UUID | None = None,
        actor_id: UUID | None = None,
        details: Mapping[str, Any] | None = None,
        personal: Mapping[str, str] | None = None,
    ) -> None:
        origin = self._writer.origin()
        actor = origin.actor_id or actor_id
        row = {
            "id": new_id(),
            "occurred_at": utc_now(),
            "kind": kind,
            "outcome": outcome,
            "actor_kind": "account" if actor else origin.actor_kind,
            "actor_id": actor,
            "account_id": account_id,
            "session_id": session_id or origin.session_id,
            "request_id": origin.request_id,
            "details": dict(details or {}),
        }
        whence = {"ip": origin.ip, "user_agent": origin.user_agent}
        values = {**{name: each for name, each in whence.items() if each}, **(personal or {})}
        self._entries.append((row, actor or account_id, values))

    def write(self) -> None:
        """Have the entries inserted on commit, which comes next."""
        for row, subject, values in self._entries:
            cipher = None
            if values and subject is not None:
                cipher = self._writer.keys.encrypt(self._uow, subject, row["id"], values)
            self._uow.later(_APPEND, **row, personal=cipher)
            self._uow.later(_ENLIST, row_id=row["id"])
        self._entries = []

    def seal(self, at_most: int) -> SealedBatch | None:
        if not CHAIN.was_busy and self._uow.first(CHAIN.waiting) is None:
            return None
        sealed = CHAIN.seal(self._uow.session, at_most=at_most)
        if sealed is None:
            return None
        entries = [SealedEntry(row["kind"], row["account_id"], row["details"]) for row in sealed.rows]
        return SealedBatch(str(sealed.head), entries)

    def forget(self, subject: UUID) -> None:
        self._writer.keys.erase(self._uow.session, subject)


def origin_of_call() -> Origin:
    """Return where the running call comes from."""
    call = context.current()
    return Origin(
        actor_kind=call.actor.kind,
        request_id=call.correlation_id,
        actor_id=_id(call.actor.id),
        session_id=_id(call.actor.session_id),
        ip=call.client_ip,
        user_agent=call.user_agent,
    )


def _id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)

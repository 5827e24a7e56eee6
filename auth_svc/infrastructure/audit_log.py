"""The audit trail as a whole: told to the log, and gone through from the first entry to the last."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import sqlalchemy as sa
from prometheus_client import Gauge

from auth_svc.application.ports import Verdict
from auth_svc.application.verify_audit import InvalidHead
from auth_svc.infrastructure.audit import CHAIN
from auth_svc.infrastructure.subject_keys import SubjectKeys
from lib.chain import Head
from lib.database import Sessions

log = logging.getLogger(__name__)

TOLD_EVERY = 60.0
POSITION = Gauge("auth_audit_position", "Entries of the audit trail that this process has seen sealed")


class SqlAuditLog:
    """:param clock: seconds that only grow"""

    def __init__(self, sessions: Sessions, keys: SubjectKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self._sessions = sessions
        self._keys = keys
        self._clock = clock
        self._untold: str | None = None
        self._told_at: float | None = None

    def announce(self, head: str | None) -> None:
        if head is not None:
            self._untold = head
            POSITION.set(Head.parse(head).position)
        if self._untold is None:
            return
        now = self._clock()
        if self._told_at is None or now - self._told_at >= TOLD_EVERY:
            log.info("audit head %s", self._untold)
            self._untold, self._told_at = None, now

    def verify(self, expected: str | None) -> Verdict:
        try:
            wanted = None if expected is None else Head.parse(expected)
        except ValueError as exc:
            raise InvalidHead(str(exc)) from exc
        with self._sessions() as session:
            # It takes as long as it takes.
            session.execute(sa.text("SET LOCAL statement_timeout = 0"))
            session.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            head = CHAIN.head(session)
            finding = CHAIN.verify(session, expected=wanted)
        return Verdict(head=None if head is None else str(head), broken=None if finding is None else str(finding))

    def reseal_keys(self) -> int:
        return self._keys.reseal(self._sessions)

"""payments_svc on the broker: what runs by itself."""

from __future__ import annotations

from uuid import UUID

from lib import logs
from lib.caller import Caller
from lib.every import every
from payments_svc.application.check_due import check_due
from payments_svc.application.expire_answers import expire_answers
from payments_svc.application.ports import Ports

_log = logs.get(__name__)


class Jobs:
    """Part of `PaymentsService`. Each instance of the service runs them; the database shares the work out."""

    ports: Ports
    caller: Caller

    @every(seconds=1)
    def check_what_is_due(self) -> None:
        """Ask providers about unknown outcomes, about what they are at, and complete what a dead process left."""
        check_due(self.ports, failed=_tell)

    @every(seconds=60)
    def expire_answers(self) -> None:
        """Forget stored answers that are old enough. Their keys stay known: none charges again."""
        expire_answers(self.ports)


def _tell(id: UUID, error: Exception) -> None:
    _log.error("check_failed", id=str(id), exc_info=error)

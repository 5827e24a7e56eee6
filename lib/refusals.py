"""What a caller is told when something failed that no rule of ours foresaw.

The infrastructure's own words (SQL, host names) never leave the process; the database being away or busy is a 503 or
409 with a stable code, because the caller can do something about it.
"""

from __future__ import annotations

import sqlalchemy.exc
from nameko.exceptions import BadRequest, RpcTimeout
from sqlalchemy.orm.exc import StaleDataError

from lib.database import RETRIED, sqlstate
from lib.errors import Conflict, DomainError, OutcomeUnknown, Overtaken, Unavailable
from lib.faults import Fault

LOCK_NOT_AVAILABLE, QUERY_CANCELED, READ_ONLY = "55P03", "57014", "25006"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class DatabaseSlow(Unavailable):
    code = "database_slow"


class Contended(Conflict):
    code = "contended"


class UpstreamTimeout(OutcomeUnknown):
    code = "upstream_timeout"


def refusal_of(error: BaseException) -> BaseException | None:
    """Return the exception to answer with, or None if `error` is a bug that only the log may know."""
    if isinstance(error, DomainError):
        return Fault.of(error)
    if isinstance(error, Fault | BadRequest):
        return error
    translated = _infrastructure(error)
    return None if translated is None else Fault.of(translated)


def _infrastructure(error: BaseException) -> DomainError | None:
    if isinstance(error, RpcTimeout):
        return UpstreamTimeout("another service did not answer in time; it may have happened", retry_after=1)
    if isinstance(error, StaleDataError | Overtaken):
        return Contended("somebody else changed this at the same moment; try again", retry_after=1)
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return DatabaseUnavailable("too busy; try again", retry_after=1)
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return None
    state = sqlstate(error)
    if state in RETRIED or state == LOCK_NOT_AVAILABLE:
        return Contended("somebody else is changing this now; try again", retry_after=1)
    if state == QUERY_CANCELED:
        return DatabaseSlow("the database took too long", retry_after=2)
    if isinstance(error, sqlalchemy.exc.OperationalError) or state == READ_ONLY or error.connection_invalidated:
        return DatabaseUnavailable("the database is away; try again", retry_after=2)
    return None

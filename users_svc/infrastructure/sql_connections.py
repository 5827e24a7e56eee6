"""Connections on PostgreSQL."""

from __future__ import annotations

from lib.database import Sessions
from lib.uow import SqlUnitOfWork


class SqlConnections:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow


class SqlConnectionReader:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

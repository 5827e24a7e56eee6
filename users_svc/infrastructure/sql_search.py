"""Search on PostgreSQL."""

from __future__ import annotations

from lib.database import Sessions


class SqlSearch:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

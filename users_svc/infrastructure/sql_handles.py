"""Handles on PostgreSQL."""

from __future__ import annotations

from lib.uow import SqlUnitOfWork


class SqlHandles:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

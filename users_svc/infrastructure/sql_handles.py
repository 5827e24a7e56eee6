"""Handles on PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from lib.uow import SqlUnitOfWork
from lib.writes import Form, inserting
from users_svc.infrastructure.tables import profiles, retired_handles

HANDLE_KEY = "profiles_handle_key_key"
"""The constraint that settles who gets a handle that two want."""

_KEY: sa.BindParameter[str] = sa.bindparam("key")
# One statement, so that it sees one moment: whoever gives up a handle has it, or has retired it.
_HOLDER = (
    sa.select(profiles.c.id.label("user_id"), sa.literal(0).label("place"))
    .where(profiles.c.handle_key == _KEY)
    .union_all(
        sa.select(retired_handles.c.user_id, sa.literal(1)).where(
            retired_handles.c.handle_key == _KEY, retired_handles.c.retired_at > sa.bindparam("retired_after")
        )
    )
    .order_by("place")
    .limit(1)
)
_RETIRE = inserting(retired_handles, in_place_of=("handle_key",))
_RELEASE = Form("DELETE FROM retired_handles WHERE handle_key = :handle_key", {"handle_key": sa.Text()})


_RELEASE_ALL = Form("DELETE FROM retired_handles WHERE user_id = :user_id", {"user_id": retired_handles.c.user_id.type})


class SqlHandles:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def holder(self, key: str, *, retired_after: datetime) -> UUID | None:
        found = self._uow.session.execute(_HOLDER, {"key": key, "retired_after": retired_after}).first()
        return None if found is None else found.user_id

    def move(self, user_id: UUID, *, given_up: str | None, taken: str | None, now: datetime) -> None:
        if given_up is not None:
            self._uow.later(_RELEASE_ALL, user_id=user_id)
            self._uow.later(_RETIRE, handle_key=given_up, user_id=user_id, retired_at=now)
        if taken is not None:
            self._uow.later(_RELEASE, handle_key=taken)

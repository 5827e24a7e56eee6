"""Preferences on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from lib.database import Sessions
from lib.uow import SqlUnitOfWork
from lib.writes import Form
from users_svc.domain.notification_preferences import NOTIFICATION_PREFERENCES, NotificationPreferences
from users_svc.domain.preference_records import Kind, PreferenceRecord
from users_svc.infrastructure.tables import preference_records

_RECORD = sa.select(preference_records).where(
    preference_records.c.user_id == sa.bindparam("user_id"), preference_records.c.kind == sa.bindparam("kind")
)
_LOCKED = _RECORD.with_for_update()
# Nothing for who has no profile; a deletion that is under way is waited for.
_ADD = sa.text(
    "INSERT INTO preference_records (user_id, kind, schema_version, data, version, updated_at)"
    " SELECT id, :kind, :schema_version, '{}', 0, now() FROM profiles WHERE id = :user_id FOR KEY SHARE"
    " ON CONFLICT DO NOTHING"
)
_SAVE = Form(
    "UPDATE preference_records SET schema_version = :schema_version, data = :data, version = :version,"
    " updated_at = :updated_at WHERE user_id = :user_id AND kind = :kind",
    {column.name: column.type for column in preference_records.columns},
)


def _record(user_id: UUID, kind: Kind, row: Mapping[str, Any] | None) -> PreferenceRecord:
    if row is None:
        return PreferenceRecord(user_id, kind, schema_version=kind.schema_version)
    return PreferenceRecord(user_id, kind, row["data"], row["schema_version"], row["version"], row["updated_at"])


class SqlPreferences:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def lock(self, user_id: UUID, kind: Kind) -> PreferenceRecord | None:
        wanted = {"user_id": user_id, "kind": kind.name}
        row = self._uow.session.execute(_LOCKED, wanted).first()
        if row is None:
            self._uow.session.execute(_ADD, {**wanted, "schema_version": kind.schema_version})
            row = self._uow.session.execute(_LOCKED, wanted).first()
        return None if row is None else _record(user_id, kind, dict(row._mapping))

    def save(self, record: PreferenceRecord) -> None:
        self._uow.later(
            _SAVE,
            user_id=record.user_id,
            kind=record.kind.name,
            schema_version=record.schema_version,
            data=record.chosen,
            version=record.version,
            updated_at=record.updated_at,
        )

    def find(self, user_id: UUID, kind: Kind) -> PreferenceRecord:
        row = self._uow.first(_RECORD, user_id=user_id, kind=kind.name)
        return _record(user_id, kind, None if row is None else dict(row._mapping))

    def notification_preferences(self, user_id: UUID) -> NotificationPreferences:
        return NotificationPreferences(self.find(user_id, NOTIFICATION_PREFERENCES).values())


class SqlPreferenceReader:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def find(self, user_id: UUID, kind: Kind) -> PreferenceRecord:
        return _record(user_id, kind, self._sessions.first(_RECORD, user_id=user_id, kind=kind.name))

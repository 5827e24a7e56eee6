"""What profiles are searched by, made anew on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib.database import Sessions
from users_svc.application.search_ports import Indexed
from users_svc.domain.profile import SearchIndex
from users_svc.infrastructure.tables import profiles

_AFTER = (
    sa.select(
        profiles.c.id,
        profiles.c.version,
        profiles.c.handle,
        profiles.c.display_name,
        profiles.c.visibility,
        *(profiles.c[name] for name in SearchIndex._fields),
    )
    .where(profiles.c.id > sa.bindparam("last", type_=pg.UUID(as_uuid=True)))
    .order_by(profiles.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
# Locked in the order of ids, as by everybody. The version says that nobody has written meanwhile; it stays as it is,
# since for the owner nothing changes.
_WRITE = sa.text(
    "UPDATE profiles SET search_handle = new.search_handle, search_name = new.search_name,"
    " search_text = new.search_text FROM ("
    "SELECT made.* FROM profiles JOIN unnest(:ids, :versions, :search_handles, :search_names, :search_texts)"
    " AS made (id, version, search_handle, search_name, search_text) USING (id, version)"
    " ORDER BY profiles.id FOR NO KEY UPDATE OF profiles) AS new"
    " WHERE profiles.id = new.id"
).bindparams(
    sa.bindparam("ids", type_=pg.ARRAY(pg.UUID(as_uuid=True))),
    sa.bindparam("versions", type_=pg.ARRAY(sa.Integer)),
    *(sa.bindparam(f"{name}s", type_=pg.ARRAY(sa.Text)) for name in SearchIndex._fields),
)
_FIRST = UUID(int=0)


class SqlSearchIndexes:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def after(self, last: UUID | None, most: int) -> list[Indexed]:
        rows = self._sessions.all(_AFTER, last=last or _FIRST, most=most)
        return [
            Indexed(
                row["id"],
                row["version"],
                row["handle"],
                row["display_name"],
                row["visibility"],
                SearchIndex(*(row[name] for name in SearchIndex._fields)),
            )
            for row in rows
        ]

    def write(self, found: Sequence[tuple[Indexed, SearchIndex]]) -> int:
        values = {
            "ids": [each.id for each, _ in found],
            "versions": [each.version for each, _ in found],
            **{f"{name}s": [getattr(index, name) for _, index in found] for name in SearchIndex._fields},
        }
        with self._sessions() as session:
            written = session.execute(_WRITE, values)
            session.commit()
        return int(written.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every UPDATE

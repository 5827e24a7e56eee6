"""The unit of work on PostgreSQL."""

from __future__ import annotations

from datetime import date, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import make_transient_to_detached

from lib.database import Sessions
from lib.errors import Overtaken
from lib.statements import insert_unless_there
from lib.uow import SqlUnitOfWork, constraint_of
from lib.writes import Form, inserting, refusing
from users_svc.domain.account_state import AccountState
from users_svc.domain.handle import HandleTaken
from users_svc.domain.profile import Profile
from users_svc.domain.statistics import DayStatistics
from users_svc.infrastructure.sql_connections import SqlConnections
from users_svc.infrastructure.sql_handles import HANDLE_KEY, SqlHandles
from users_svc.infrastructure.sql_notifications import SqlNotifications
from users_svc.infrastructure.sql_preferences import SqlPreferences
from users_svc.infrastructure.tables import (
    account_states,
    connection_counts,
    member_statistics,
    profiles,
    tombstones,
)

_ADD = inserting(profiles)
_ADD_COUNTS = inserting(connection_counts)
_ADD_STATE = inserting(account_states)
_NOT_BURIED = refusing(tombstones, found_by=["id"])
#: what somebody who adds an account that is known already breaks
_KNOWN = {each.primary_key.name for each in (account_states, profiles)}
_ADD_UNLESS_THERE = insert_unless_there(profiles, "(id)")
_ADD_COUNTS_UNLESS_THERE = insert_unless_there(connection_counts, "(user_id)")
_ADD_STATE_UNLESS_THERE = insert_unless_there(account_states, "(id)")
_BURY = insert_unless_there(tombstones, "(id)")
_TOMBSTONE = sa.select(tombstones.c.id).where(tombstones.c.id == sa.bindparam("account_id"))
_COUNT = Form(
    "INSERT INTO member_statistics (day, registrations) VALUES (:day, 1)"
    " ON CONFLICT (day) DO UPDATE SET registrations = member_statistics.registrations + 1",
    {"day": sa.Date()},
)
_BY_ID = sa.select(profiles).where(profiles.c.id == sa.bindparam("user_id"))


class SqlAccountStates:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, account: AccountState) -> None:
        self._uow.later(_ADD_STATE, **_row(account_states, account))
        # Looked for only then: the INSERT has waited for a deletion that was under way, and no other can begin.
        self._uow.later(_NOT_BURIED, id=account.id)

    def add_or_get(self, account: AccountState) -> AccountState | None:
        # Most have a state.
        found = self._locked(account.id)
        if found is not None:
            return found
        inserted = self._uow.session.execute(_ADD_STATE_UNLESS_THERE, _row(account_states, account))
        if not inserted.rowcount:  # type: ignore[attr-defined]  # a CursorResult, as of every INSERT
            # Only a deletion removes a state: one that has gone since the INSERT has left a tombstone.
            return self._locked(account.id)
        # Looked for only now: the INSERT has waited for a deletion that was under way, and no other can begin.
        if self._uow.session.execute(_TOMBSTONE, {"account_id": account.id}).first() is not None:
            self._uow.session.execute(sa.delete(account_states).where(account_states.c.id == account.id))
            return None
        # The row is there, so the object is not to be inserted once more; its later changes are to be written.
        make_transient_to_detached(account)
        self._uow.keep(account)
        return account

    def _locked(self, account_id: UUID) -> AccountState | None:
        return self._uow.session.execute(
            sa.select(AccountState).where(account_states.c.id == account_id).with_for_update(),
            # Another transaction may have written since this one looked without a lock.
            execution_options={"populate_existing": True},
        ).scalar_one_or_none()

    def bury(self, account: AccountState, now: datetime) -> None:
        self._uow.session.execute(_BURY, {"id": account.id, "deleted_at": now})
        self._uow.session.delete(account)


class SqlProfiles:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, profile: Profile) -> None:
        self._uow.later(_ADD, **_row(profiles, profile))
        self._uow.announce(profile)
        self._uow.later(_ADD_COUNTS, **_no_connections(profile))

    def add_or_get(self, profile: Profile) -> Profile:
        # Only the id may clash in silence: a clash of anything else is two people's and has to be heard.
        self._uow.session.execute(_ADD_UNLESS_THERE, _row(profiles, profile))
        self._uow.session.execute(_ADD_COUNTS_UNLESS_THERE, _no_connections(profile))
        return self._uow.session.execute(
            sa.select(Profile).where(profiles.c.id == profile.id).with_for_update(),
            # Another transaction may have written since this one looked without a lock.
            execution_options={"populate_existing": True},
        ).scalar_one()

    def get(self, user_id: UUID) -> Profile | None:
        return self._uow.session.execute(
            # Not against those who add a connection or a notification and so refer to it.
            sa.select(Profile).where(profiles.c.id == user_id).with_for_update(key_share=True),
            execution_options={"populate_existing": True},
        ).scalar_one_or_none()

    def remove(self, user_id: UUID) -> None:
        self._uow.session.execute(sa.delete(profiles).where(profiles.c.id == user_id))


def _row(table: sa.Table, each: object) -> dict[str, Any]:
    return {column.name: getattr(each, column.name) for column in table.columns}


def _no_connections(profile: Profile) -> dict[str, Any]:
    return {"user_id": profile.id, "followers": 0, "following": 0, "sequence": 0}


class SqlProfileReader:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def find(self, user_id: UUID) -> dict[str, Any] | None:
        return self._sessions.first(_BY_ID, user_id=user_id)


class SqlStatistics:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add_registration(self, day: date) -> None:
        # Adding is the database's work: read-modify-write would lose counts.
        self._uow.later(_COUNT, day=day)

    def of(self, day: date) -> DayStatistics:
        query = sa.select(member_statistics.c.registrations).where(member_statistics.c.day == day)
        found = self._uow.first(query)
        return DayStatistics(day, 0 if found is None else found.registrations)


class UsersUnitOfWork(SqlUnitOfWork):
    """One transaction on the users database."""

    @cached_property
    def accounts(self) -> SqlAccountStates:
        return SqlAccountStates(self)

    @cached_property
    def profiles(self) -> SqlProfiles:
        return SqlProfiles(self)

    @cached_property
    def statistics(self) -> SqlStatistics:
        return SqlStatistics(self)

    @cached_property
    def handles(self) -> SqlHandles:
        return SqlHandles(self)

    @cached_property
    def connections(self) -> SqlConnections:
        return SqlConnections(self)

    @cached_property
    def preferences(self) -> SqlPreferences:
        return SqlPreferences(self)

    @cached_property
    def notifications(self) -> SqlNotifications:
        return SqlNotifications(self)

    def commit(self) -> None:
        try:
            super().commit()
        except IntegrityError as exc:
            if constraint_of(exc) == HANDLE_KEY:
                raise HandleTaken from exc
            if constraint_of(exc) in _KNOWN:
                raise Overtaken from exc
            raise

"""What a session holds, as writes for one round trip (`lib.writes`): for objects of columns alone, no relations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstanceState, Mapper, Session

from lib.writes import Form, Write, inserting, updating


def can_be_written(session: Session) -> bool:
    """Tell whether `writes_of` knows how: nothing is deleted, and what is changed has a version to be guarded by."""
    return not session.deleted and all(_state(each).mapper.version_id_col is not None for each in session.dirty)


def writes_of(session: Session) -> list[Write]:
    """Return an UPDATE for each changed object, in the order of their keys so that nobody waits in a circle, and an
    INSERT for each new one, in the order in which they were added: what refers to another one comes after it."""
    return [*_updates(session), *(_insert(_state(each)) for each in session.new)]


def _insert(state: InstanceState[Any]) -> Write:
    values = {column: state.attrs[key].value for key, column in _columns(state.mapper).items()}
    return Write(_insert_form(state.mapper), values)


def _updates(session: Session) -> Iterator[Write]:
    for state in sorted(map(_state, session.dirty), key=_order):
        columns = _columns(state.mapper)
        touched = columns.keys() - state.unmodified
        changed = {columns[key]: state.attrs[key].value for key in touched if _is_changed(state, key)}
        if changed:
            found = _found_by(state.mapper)
            old = {f"old_{columns[key]}": _before(state, key) for key in found}
            yield Write(_update_form(state.mapper, tuple(changed)), {**changed, **old})


def _order(state: InstanceState[Any]) -> tuple[str, str]:
    return state.mapper.class_.__name__, str(state.identity)


def _state(each: object) -> InstanceState[Any]:
    state: InstanceState[Any] = sa.inspect(each)  # type: ignore[assignment]  # of a mapped object
    return state


def _is_changed(state: InstanceState[Any], key: str) -> bool:
    return bool(state.attrs[key].history.has_changes())


def _before(state: InstanceState[Any], key: str) -> Any:
    history = state.attrs[key].history
    return history.deleted[0] if history.deleted else state.attrs[key].value


@lru_cache
def _columns(mapper: Mapper[Any]) -> dict[str, str]:
    """Return the names of the columns by those of the attributes."""
    return {attribute.key: attribute.columns[0].name for attribute in mapper.column_attrs}


@lru_cache
def _found_by(mapper: Mapper[Any]) -> tuple[str, ...]:
    """Return the attributes that say which row it is, and in which version."""
    assert mapper.version_id_col is not None  # noqa: S101  (`can_be_written`)
    return tuple(mapper.get_property_by_column(each).key for each in (*mapper.primary_key, mapper.version_id_col))


@lru_cache
def _insert_form(mapper: Mapper[Any]) -> Form:
    mapped = set(_columns(mapper).values())
    unmapped = [column.name for column in mapper.local_table.columns if column.name not in mapped]
    return inserting(mapper.local_table, leave_out=unmapped)


@lru_cache(1000)
def _update_form(mapper: Mapper[Any], changed: tuple[str, ...]) -> Form:
    columns = _columns(mapper)
    return updating(mapper.local_table, changed, found_by=[columns[key] for key in _found_by(mapper)])

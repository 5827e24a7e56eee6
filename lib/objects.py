"""What is to be saved, as writes for one round trip (`lib.writes`): for objects of columns alone, no relations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstanceState, Mapper, make_transient_to_detached
from sqlalchemy.orm.base import LoaderCallableStatus
from sqlalchemy.orm.instrumentation import manager_of_class

from lib.writes import Form, Write, inserting, updating

T = TypeVar("T")
_NOTHING = LoaderCallableStatus.NO_VALUE


def restored(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return an object that is stored and that no session knows, as a query would have made it.

    As there, ``__init__`` is not called, and nobody hears of attributes that are set.

    :param values: of all its attributes
    """
    instance: T = manager_of_class(kind).new_instance()
    instance.__dict__.update(values)
    make_transient_to_detached(instance)
    return instance


def new_and_changed(objects: Iterable[object]) -> tuple[list[object], list[object]]:
    """Return which of them were never stored, and which have changed since they were read."""
    states = [_state(each) for each in objects]
    new = [state.obj() for state in states if state.key is None]
    return new, [state.obj() for state in states if state.key is not None and state.modified]


def can_be_written(changed: Iterable[object]) -> bool:
    """Tell whether `writes_of` knows how: what is changed has a version to be guarded by."""
    return all(_state(each).mapper.version_id_col is not None for each in changed)


def writes_of(new: Iterable[object], changed: Iterable[object]) -> list[Write]:
    """Return an UPDATE for each changed object, in the order of their keys so that nobody waits in a circle, and an
    INSERT for each new one, in the order in which they were added: what refers to another one comes after it."""
    return [*_updates(changed), *(_insert(_state(each)) for each in new)]


def _insert(state: InstanceState[Any]) -> Write:
    # Nothing of what was never stored is still to be loaded. `state.attrs` would make something for each attribute.
    values = {column: state.dict.get(key) for key, column in _columns(state.mapper).items()}
    return Write(_insert_form(state.mapper), values)


def _updates(changed_objects: Iterable[object]) -> Iterator[Write]:
    states = [_state(each) for each in changed_objects]
    if len(states) > 1:
        states.sort(key=_order)
    for state in states:
        columns, now, attributes = _columns(state.mapper), state.dict, state.manager
        # What was set since the object was read, and what stood there; `state.get_history` does more than is needed.
        before = {key: old for key, old in state.committed_state.items() if old is not _NOTHING}
        same = {key for key, old in before.items() if attributes[key].impl.is_equal(old, now[key])}
        touched = state.committed_state.keys() - same
        changed = {column: now[key] for key, column in columns.items() if key in touched}
        if changed:
            old = {f"old_{columns[key]}": before.get(key, now[key]) for key in _found_by(state.mapper)}
            yield Write(_update_form(state.mapper, tuple(changed)), {**changed, **old})


def _order(state: InstanceState[Any]) -> tuple[str, str]:
    return state.mapper.class_.__name__, str(state.identity)


def _state(each: object) -> InstanceState[Any]:
    state: InstanceState[Any] = sa.inspect(each)  # type: ignore[assignment]  # of a mapped object
    return state


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

"""The unit of work's parts that need no database; the rest is tested on PostgreSQL."""

from types import SimpleNamespace

import pytest
from sqlalchemy.exc import IntegrityError

from lib import uow
from lib.aggregate import Aggregate


class Thing(Aggregate):
    """Anything with events."""


def session(**objects):
    return SimpleNamespace(**{"new": [], "dirty": [], "deleted": [], "info": {}, **objects})


@pytest.mark.parametrize(
    "where",
    [
        "new",
        "dirty",
        pytest.param("deleted"),
    ],
)
def test_the_events_of_whatever_is_written_are_kept_for_the_commit(where):
    thing, other = Thing(), object()
    found = session(**{where: [thing, other]})
    uow._hold_changed(found, None, None)
    (changed,) = found.info.values()
    assert list(changed) == [thing]


def test_several_flushes_keep_the_order_of_the_changes():
    things = [Thing() for _ in range(4)]
    found = session()
    for new, dirty in (([things[0]], []), ([things[1]], [things[0]]), ([], [things[2], things[1]]), ([things[3]], [])):
        found.new, found.dirty = new, dirty
        uow._hold_changed(found, None, None)
    (changed,) = found.info.values()
    assert list(changed) == things


def test_nothing_written_nothing_kept():
    found = session(dirty=[object()])
    uow._hold_changed(found, None, None)
    assert found.info == {}


@pytest.mark.parametrize(
    ("original", "name"),
    [
        (SimpleNamespace(diag=SimpleNamespace(constraint_name="accounts_email_key")), "accounts_email_key"),
        (SimpleNamespace(diag=SimpleNamespace(constraint_name=None)), None),
        (SimpleNamespace(), None),
        (None, None),
    ],
)
def test_the_constraint_that_was_broken(original, name):
    assert uow.constraint_of(IntegrityError("x", {}, original)) == name


def test_leaving_without_a_commit_closes_the_session():
    closed = []
    made = SimpleNamespace(close=lambda: closed.append(True), add_all=list, info={})

    def fail():
        with uow.SqlUnitOfWork(lambda: made) as unit:
            assert unit.session is made
            assert unit.session is made
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert closed == [True]


def test_who_needs_no_session_makes_none():
    with uow.SqlUnitOfWork(None) as unit:
        unit.keep(Thing())
        assert not unit.has_begun

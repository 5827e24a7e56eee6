"""Aggregates record what happened to them, in order, each event once."""

from dataclasses import dataclass
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from lib.aggregate import Aggregate, data_of


@dataclass(frozen=True)
class Happened:
    type: ClassVar[str] = "thing.happened"
    schema_version: ClassVar[int] = 2
    what: str
    times: int = 1


class Thing(Aggregate):
    def __init__(self, sequence=0):
        self.sequence = sequence


def test_an_events_data_is_its_fields_without_type_and_version():
    assert data_of(Happened("a", times=3)) == {"what": "a", "times": 3}


@given(st.lists(st.sampled_from(["record", "pull"])), st.integers(0, 1000))
def test_events_are_numbered_on_without_gaps_and_pulled_once(steps, start):
    thing, pulled, recorded = Thing(start), [], 0
    for step in steps:
        if step == "record":
            thing.record(Happened(str(recorded)))
            recorded += 1
        else:
            pulled += thing.pull_events()
    pulled += thing.pull_events()
    assert [sequence for sequence, _ in pulled] == list(range(start + 1, start + 1 + recorded))
    assert [event.what for _, event in pulled] == [str(number) for number in range(recorded)]
    assert thing.sequence == start + recorded


def test_nothing_recorded_nothing_pulled():
    assert Thing().pull_events() == []


def test_aggregates_do_not_share_their_events():
    first, second = Thing(), Thing()
    first.record(Happened("first"))
    assert second.pull_events() == []
    assert len(first.pull_events()) == 1


def test_an_entity_that_the_orm_made_without_init_can_record():
    thing = Thing.__new__(Thing)
    thing.sequence = None  # a column that has no value yet
    thing.record(Happened("a"))
    assert thing.pull_events() == [(1, Happened("a"))]

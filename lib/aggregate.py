"""Entities that record what happened to them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar, Protocol
from uuid import UUID


class DomainEvent(Protocol):
    """A frozen dataclass of primitives without secrets: it leaves the house.

    ``type`` is the routing key on the service's event exchange, ``schema_version`` grows when fields are added.
    """

    type: ClassVar[str]
    schema_version: ClassVar[int]


def data_of(event: DomainEvent) -> dict[str, Any]:
    """Return the event's fields as the envelope's ``data``."""
    fields: dict[str, Any] = asdict(event)  # type: ignore[call-overload]  # a Protocol cannot say "is a dataclass"
    return fields


class Aggregate:
    """Base of every entity that is loaded, changed and saved as a whole.

    ``sequence`` numbers the events of one aggregate from 1. It is a column of the aggregate's row, so the row lock
    that guards the change also orders the events: load for writing with ``SELECT … FOR UPDATE``.
    """

    id: UUID
    sequence: int

    def record(self, event: DomainEvent) -> None:
        """Note that something happened; the unit of work sends it on commit."""
        self.sequence = (self.sequence or 0) + 1
        # Through __dict__, because the ORM makes entities without calling __init__.
        self.__dict__.setdefault("_recorded", []).append((self.sequence, event))

    @property
    def number_of_events(self) -> int:
        """How many events are recorded and not pulled yet."""
        return len(self.__dict__.get("_recorded", ()))

    def pull_events(self) -> list[tuple[int, DomainEvent]]:
        """Return and forget the recorded ``(sequence, event)`` pairs, oldest first."""
        recorded: list[tuple[int, DomainEvent]] = self.__dict__.pop("_recorded", [])
        return recorded

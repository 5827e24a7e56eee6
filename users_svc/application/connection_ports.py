"""What the use cases about connections need from the world."""

from __future__ import annotations

from typing import Protocol


class Connections(Protocol):
    """Part of the unit of work."""


class ConnectionReader(Protocol):
    """Outside of any transaction."""

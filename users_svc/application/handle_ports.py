"""What the use cases about handles need from the world."""

from __future__ import annotations

from typing import Protocol


class Handles(Protocol):
    """Part of the unit of work."""

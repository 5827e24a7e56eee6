"""What the use cases about preferences need from the world."""

from __future__ import annotations

from typing import Protocol


class Preferences(Protocol):
    """Part of the unit of work."""


class PreferenceReader(Protocol):
    """Outside of any transaction."""

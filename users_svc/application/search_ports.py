"""What the use cases of search need from the world."""

from __future__ import annotations

from typing import Protocol


class Search(Protocol):
    """Outside of any transaction."""

"""What the use cases about notifications need from the world."""

from __future__ import annotations

from typing import Protocol


class Notifications(Protocol):
    """Part of the unit of work."""


class NotificationReader(Protocol):
    """Outside of any transaction."""

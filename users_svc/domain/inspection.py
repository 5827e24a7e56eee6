"""Administrators see what nobody else does; that they looked is told, for the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from lib.aggregate import Aggregate


@dataclass(frozen=True)
class ProfileInspected:
    """An administrator has seen a profile that was not there for them as anybody else."""

    type: ClassVar[str] = "user.profile.inspected"
    schema_version: ClassVar[int] = 1
    id: str
    actor_id: str


@dataclass(eq=False, repr=False)
class Inspection(Aggregate):
    """One look at some people. It has no row, only events: the profiles of others do not change because of it.

    :param actor_id: who looks
    """

    id: UUID
    actor_id: UUID
    sequence: int = 0

    def see(self, user_id: UUID) -> None:
        """Note whom they see."""
        self.record(ProfileInspected(str(user_id), str(self.actor_id)))

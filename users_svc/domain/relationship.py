"""What two people are to each other."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Relationship:
    """What a viewer and another person are to each other, as the viewer may know it.

    That the other one blocks the viewer is not in it: for who is blocked, the other does not exist.

    :param id: of the other person
    :param following: the viewer follows them
    :param followed_by: they follow the viewer
    :param requested: the viewer has asked to follow them, and waits
    :param requested_by: they have asked to follow the viewer
    """

    id: UUID
    following: bool = False
    followed_by: bool = False
    requested: bool = False
    requested_by: bool = False
    blocking: bool = False
    muting: bool = False

"""What the use cases about connections need from the world."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from users_svc.domain.connection import Connection, PendingRequests

Row = dict[str, Any]


class Connections(Protocol):
    """Part of the unit of work. The counts of followers change with the edges."""

    def between(self, user_id: UUID, other_id: UUID) -> Connection | None:
        """Return what is between the two, for `user_id` to act on; both are locked until the transaction ends.

        None if `user_id` has no profile. The other one may be missing: then they are not visible, as somebody is who
        blocks `user_id`, and the same queries tell.
        """

    def save(self, connection: Connection, *, edge_id: UUID, now: datetime) -> None:
        """Write on commit what was added and removed, and the events.

        :param edge_id: newer than all before, since lists are in its order; one act adds one edge at most
        """

    def pending(self, user_id: UUID, most: int) -> PendingRequests:
        """Return up to `most` who wait to follow `user_id`; they and `user_id` are locked until the transaction ends.

        None where that is as it should be: `user_id` chooses who follows. Nor at somebody without a profile.
        """

    def settle(self, requests: PendingRequests, *, edge_ids: Sequence[UUID], now: datetime) -> None:
        """Make a follow of each request, in their order, and send the events on commit."""

    def leave(self, user_id: UUID, most: int) -> bool:
        """Remove edges from and to somebody who goes for good, `most` of each kind; the counts of the others follow.

        :returns: whether no edge is left; none can come as long as the transaction lasts
        """

    def reconcile(self, after: UUID | None, most: int) -> tuple[list[UUID], list[Row]]:
        """Compare the counts of up to `most` people, in the order of their ids, with their edges, and repair them.

        :param after: the last id of the call before
        :returns: the ids that were looked at; of those that were repaired ``user_id``, and ``followers``,
            ``following`` as they were and as ``followers_found``, ``following_found``
        """


class ConnectionReader(Protocol):
    """Outside of any transaction. Nobody is listed who is disabled or blocks the viewer.

    The lists come newest edge first. Rows have the fields of the profile, those of `Relationship` (the viewer's, all
    false for an anonymous one), and of the edge ``edge_id`` and ``since``.

    :param viewer_id: None for somebody who is not signed in
    :param before: the ``edge_id`` of the last row of the page before
    """

    def network(self, user_id: UUID, viewer_id: UUID | None) -> Row | None:
        """Return what decides whether the viewer may see who follows `user_id` and whom they follow: ``private``,
        ``hidden``, ``following`` (the viewer does); None if the viewer cannot see `user_id` at all."""

    def followers(self, user_id: UUID, viewer_id: UUID | None, most: int, before: UUID | None) -> list[Row]: ...

    def following(self, user_id: UUID, viewer_id: UUID | None, most: int, before: UUID | None) -> list[Row]: ...

    def blocked(self, user_id: UUID, most: int, before: UUID | None) -> list[Row]: ...

    def requesters(self, user_id: UUID, most: int, before: UUID | None) -> list[Row]: ...

    def relationships(self, user_id: UUID, other_ids: Sequence[UUID]) -> list[Row]:
        """Return the fields of a `Relationship` for each of the others whom `user_id` can see, in one query."""

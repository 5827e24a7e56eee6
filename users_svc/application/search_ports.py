"""What the use cases of search need from the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from users_svc.domain.search_query import SearchFilters, SearchQuery, Sort

Row = Mapping[str, Any]


class Search(Protocol):
    """Outside of any transaction. Rows are as those of `People.view`, without the counts."""

    def find(
        self,
        query: SearchQuery,
        *,
        sort: Sort,
        filters: SearchFilters,
        viewer_id: UUID | None,
        after: tuple[Any, UUID] | None,
        at_most: int,
    ) -> Sequence[Row]:
        """Return the people who are found, in the order of `sort`.

        Only those who may be found: not private, not disabled, willing; neither blocks the other, they or the viewer.
        A row has its place as ``score`` (the higher, the closer; sort by relevance), ``created_at`` (newest) or
        ``search_name`` (name). Of many who match a text, only some hundreds are looked at.

        :param after: place and id of the last one that the caller has
        """

    def by_ids_and_handles(
        self, ids: Sequence[UUID], handle_keys: Sequence[str], *, viewer_id: UUID | None, retired_after: datetime
    ) -> Sequence[Row]:
        """Return those of them who are there for the viewer, by one query; in no order, and some perhaps twice.

        A row has ``by_key``: the key of the handle that led to it, or null if its id did.

        :param retired_after: a handle that was given up later still leads to who had it
        """

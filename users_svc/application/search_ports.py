"""What the use cases of search need from the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from users_svc.domain.profile import SearchIndex
from users_svc.domain.search_query import SearchFilters, SearchQuery, Sort

Row = Mapping[str, Any]


Place = tuple[Any, UUID]
"""Where somebody stands in the order of a list, and their id."""


class Found(NamedTuple):
    """:param reached: the last one who was looked at, found or not, if the search ended there before its time"""

    rows: Sequence[Row]
    reached: Place | None = None


class Search(Protocol):
    """Outside of any transaction. Rows are as those of `People.view`, without the counts."""

    def find(
        self,
        query: SearchQuery,
        *,
        sort: Sort,
        filters: SearchFilters,
        viewer_id: UUID | None,
        after: Place | None,
        at_most: int,
    ) -> Found:
        """Return the people who are found, in the order of `sort`.

        Only those who may be found: not private, not disabled, willing; neither blocks the other, they or the viewer.
        A row has its place as ``score`` (the higher, the closer; sort by relevance), ``created_at`` (newest) or
        ``search_name`` (name). Of many who match a text, only some hundreds are looked at, and with a filter that
        leaves many, too. In the order of names, such a filter can end the search before the page is full, or has
        anybody in it: `Found.reached` is where to go on.

        :param after: place and id of the last one that the caller has
        """

    def by_ids_and_handles(
        self, ids: Sequence[UUID], handle_keys: Sequence[str], *, viewer_id: UUID | None, retired_after: datetime
    ) -> Sequence[Row]:
        """Return those of them who are there for the viewer, by one query; in no order, and some perhaps twice.

        A row has ``by_key``: the key of the handle that led to it, or null if its id did.

        :param retired_after: a handle that was given up later still leads to who had it
        """


class Indexed(NamedTuple):
    """What a profile is searched by, and what it should be searched by is made of.

    :param version: of the profile, as it was read
    """

    id: UUID
    version: int
    handle: str | None
    display_name: str
    visibility: Mapping[str, str]
    searched_by: SearchIndex


class SearchIndexes(Protocol):
    """What profiles are searched by, to be made anew. Holds nothing: every write is a transaction of its own."""

    def after(self, last: UUID | None, most: int) -> Sequence[Indexed]:
        """Return the next ones in the order of ids."""

    def write(self, found: Sequence[tuple[Indexed, SearchIndex]]) -> int:
        """Write what they are to be searched by, where the profile has not changed since: then that was done already.

        :returns: how many were written
        """

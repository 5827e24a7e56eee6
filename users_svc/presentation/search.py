"""users_svc on the broker: search."""

from __future__ import annotations

from typing import Any

from lib.access import anyone
from lib.caller import Caller
from lib.rpc import rpc
from users_svc.application.lookup_users import lookup_users
from users_svc.application.ports import Ports
from users_svc.application.search_users import search_users
from users_svc.presentation.schemas import PROFILE


class SearchRpc:
    """Part of `UsersService`."""

    ports: Ports
    caller: Caller

    @rpc(allow=anyone, idempotent=True)
    def search_users(
        self,
        query: str | None = None,
        sort: str | None = None,
        joined_after: str | None = None,
        joined_before: str | None = None,
        following: bool = False,
        limit: int = 20,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Look for users. Who is private or disabled or does not want to be found is not; nor are they who block the
        caller, or whom the caller blocks.

        :param query: up to 254 characters, without regard to case and accents: words that are all in the handle or the
            name; with less than three letters, the start of one of them; an e-mail address, as a whole and only of
            those who allow that; none for everybody
        :param sort: ``relevance`` (the exact handle, then handles and then names that begin so, then what is most
            similar), ``newest`` or ``name``; the default is the first with a query and the second without. Of the very
            many who match a query, only some hundreds are looked at, some thousands if filters leave many
        :param joined_after: a day or an RFC 3339 time; who came then or later
        :param joined_before: a day or an RFC 3339 time; who came before
        :param following: only users whom the caller follows, the last 5,000 of them
        :param limit: 1 to 100
        :param cursor: ``next_cursor`` of the page before, with the same query, sort and filters
        :returns: ``{"data": [{"id", "private", "created_at", …}], "next_cursor"}``: what the caller sees of each, as in
            `get_user` without counts and relationship. Sorted by name and with filters, a page can be short or empty
            before the last one, whose cursor is null
        :raises Fault: ``malformed/invalid_cursor``; ``invalid/invalid_query``, ``invalid/invalid_sort``,
            ``invalid/invalid_search_filter``, ``invalid/invalid_limit``
        """
        page = search_users(
            self.ports,
            query=query,
            sort=sort,
            joined_after=joined_after,
            joined_before=joined_before,
            following=following,
            limit=limit,
            cursor=cursor,
            viewer_id=self.caller.id,
            is_admin=self.caller.has_role("admin"),
        )
        return {"data": PROFILE.dump(page.data, many=True), "next_cursor": page.next_cursor}

    @rpc(allow=anyone, idempotent=True)
    def lookup_users(self, ids: list[str] | None = None, handles: list[str] | None = None) -> dict[str, Any]:
        """Return what the caller sees of many users at once.

        :param ids: up to 100
        :param handles: up to 100; one that was given up leads to who had it for 90 days
        :returns: ``{"data": […]}``, an item for each id and then for each handle, in their order: as in `search_users`,
            or ``{"id", "not_found": true}`` or ``{"handle", "not_found": true}`` with what was asked for
        :raises Fault: ``invalid/invalid_lookup``
        """
        data = lookup_users(
            self.ports,
            ids=[] if ids is None else ids,
            handles=[] if handles is None else handles,
            viewer_id=self.caller.id,
            is_admin=self.caller.has_role("admin"),
        )
        return {"data": [each if "not_found" in each else PROFILE.dump(each) for each in data]}

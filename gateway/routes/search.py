"""Search."""

from __future__ import annotations

from typing import Any

from flask import Response

from gateway.answers import answer
from gateway.bearer import maybe_signed_in
from gateway.fields import MAX_EMAIL, Choice, Many, PageQuery, Shape, Text
from gateway.inputs import body, query
from gateway.limits import limited_per_account
from gateway.openapi import Routes, operation
from gateway.rpc import services
from gateway.shapes import USER_ID

blueprint = Routes("search", __name__, url_prefix="/api/v1/users", description="Search")

MAX_TIME, MAX_ASKED, MAX_ID, MAX_SEARCH_CURSOR = 40, 100, 64, 1024

#: of both together: nobody reads so fast, and who collects profiles wants more of them
PACE = "60/minute"


def _time(told: str) -> Text:
    return Text(
        longest=MAX_TIME, metadata={"description": f"{told}: a day or an RFC 3339 time", "example": "2026-01-31"}
    )


class UsersQuery(PageQuery):
    query = Text(
        longest=MAX_EMAIL,
        metadata={
            "description": "Words of the handle or the name, without regard to case and accents; less than three "
            "letters are the start of one of them. An e-mail address is looked for as a whole",
            "example": "ann ex",
        },
    )
    sort = Choice(
        "relevance",
        "newest",
        "name",
        metadata={"description": "With a query `relevance` unless given, else `newest`; only a query has relevance"},
    )
    joined_after = _time("Who came then or later")
    joined_before = _time("Who came before")
    following = Choice("true", "false", metadata={"description": "`true`: only users whom the caller follows"})
    cursor = Text(longest=MAX_SEARCH_CURSOR, metadata={"description": "`next_cursor` of the page before"})


class Wanted(Shape):
    ids = Many(Text(longest=MAX_ID), most=MAX_ASKED, metadata={"description": "Ids of users"})
    handles = Many(
        Text(longest=MAX_ID),
        most=MAX_ASKED,
        metadata={"description": "Handles; one that was given up leads to who had it for 90 days"},
    )


USERS_QUERY, WANTED = UsersQuery(), Wanted()


@blueprint.get("")
@operation(
    gives=(200, "FoundUserPage"),
    query=USERS_QUERY,
    token=None,
    errors={422: ("invalid_query", "invalid_sort", "invalid_search_filter")},
)
@maybe_signed_in
@limited_per_account(PACE, shared="search")
@query(USERS_QUERY)
def search_users(data: dict[str, Any]) -> Response:
    """Search users

    Without a query: everybody who wants to be found. Not found are private and disabled accounts, who does not want to
    be, who blocks the caller and whom the caller blocks.

    A search does a limited work. Of the very many who match a query, some hundreds are looked at, with filters some
    thousands; of those whom the caller follows, the 5,000 followed last. In the order of names, a page with filters can
    have fewer users than asked for, or none: the list ends where `next_cursor` is null, and nowhere else.
    """
    if "following" in data:
        data["following"] = data["following"] == "true"
    return answer(services().users_svc.search_users(**data))


@blueprint.post("/lookup")
@operation(
    gives=(200, "UserLookup"),
    takes=WANTED,
    example={"ids": [USER_ID], "handles": ["nobody"]},
    token=None,
    errors={422: ("invalid_lookup",)},
)
@maybe_signed_in
@limited_per_account(PACE, shared="search")
@body(WANTED)
def lookup_users(data: dict[str, Any]) -> Response:
    """Show many users at once

    Up to 100 ids and 100 handles.
    """
    return answer(services().users_svc.lookup_users(**data))

"""Search on PostgreSQL: a few hundred candidates out of the indexes (`search_candidates`), and only these are ranked.

Whatever the filters are, the work has an end. People whom a filter leaves are looked through if they are few. If they
are many, a search for a text looks at no more than the first thousand of each way; a list in the order of names passes
a thousand people for each page, and goes on from there on the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib.database import Sessions
from users_svc.application.search_ports import Found, Place
from users_svc.domain.search_query import SearchFilters, SearchQuery, Sort, has_trigram
from users_svc.infrastructure.people import not_blocked_by, relationship_columns
from users_svc.infrastructure.search_candidates import (
    AT_MOST,
    FEW,
    LISTED,
    Form,
    after,
    candidates,
    everybody,
    joined,
    order,
)
from users_svc.infrastructure.tables import profiles, retired_handles

WALK = 1000
"""People whom a page in the order of names passes at most, while it looks for those whom a filter leaves."""


class SqlSearch:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

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
        values: dict[str, Any] = {"viewer_id": viewer_id, "at_most": at_most}
        if query.email is not None:
            values["email"] = query.email
        elif query.text:
            values.update(text=query.text, start=f"{_escaped(query.text)}%")
        for number, word in enumerate(query.words):
            values[f"word{number}"] = _escaped(word)
        wanted = {name: value for name, value in vars(filters).items() if value}
        values.update(wanted)
        if after is not None:
            values["place"], values["last"] = after
        words = tuple(map(has_trigram, query.words))
        form = Form(_way(query), words, sort, tuple(wanted), after is not None)
        form = form._replace(few=self._are_few(form, wanted))
        stop = self._end_of_walk(form, values)
        if stop is not None:
            form = form._replace(stops=True)
            values["stop_name"], values["stop_id"] = stop
        rows = self._sessions.all(_statement(form), **values)
        return Found(rows, stop if len(rows) < at_most else None)

    def _are_few(self, form: Form, wanted: Mapping[str, Any]) -> bool:
        """Tell whether to begin with those whom the filters leave."""
        if form.way == "email" or not wanted:
            return False
        if "following" in wanted:
            return True
        if form.way == "everybody" and form.sort == "newest":
            # In the order of the index, which begins and ends where the filters do.
            return False
        found = self._sessions.first(_number_joined(form.filters), **wanted, enough=FEW + 1)
        return found is not None and found["number"] <= FEW

    def _end_of_walk(self, form: Form, values: Mapping[str, Any]) -> Place | None:
        """Return who is passed last where many are passed for few who are found; None if the list ends before."""
        if form.way != "everybody" or form.sort != "name" or form.few or not form.filters:
            return None
        begin = {name: values[name] for name in ("place", "last") if name in values}
        found = self._sessions.first(_walked(form.goes_on), **begin, passed=WALK - 1)
        return None if found is None else (found["search_name"], found["id"])

    def by_ids_and_handles(
        self, ids: Sequence[UUID], handle_keys: Sequence[str], *, viewer_id: UUID | None, retired_after: datetime
    ) -> list[dict[str, Any]]:
        return self._sessions.all(
            _BY_IDS_AND_HANDLES,
            ids=list(ids),
            handle_keys=list(handle_keys),
            viewer_id=viewer_id,
            retired_after=retired_after,
        )


def _way(query: SearchQuery) -> Literal["everybody", "prefix", "words", "email"]:
    if query.email is not None:
        return "email"
    if query.prefix:
        return "prefix"
    return "words" if query.words else "everybody"


def _escaped(text: str) -> str:
    r"""Return a pattern for LIKE that stands for nothing but the text."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


@lru_cache(maxsize=1024)
def _statement(form: Form) -> sa.Select[Any]:
    """Return the SELECT of one page, compiled once."""
    if form.way == "everybody" and not form.few:
        return _page(_cut(everybody(form), form).subquery("page"), form.sort)
    found = candidates(form)
    rows = sa.select(found)
    if form.sort != "relevance" and not form.few:
        rows = rows.add_columns(profiles.c.created_at, profiles.c.search_name).join(
            profiles, profiles.c.id == found.c.id
        )
    return _page(_cut(sa.select(rows.subquery("candidates")), form).subquery("page"), form.sort)


@lru_cache
def _number_joined(filters: tuple[str, ...]) -> sa.Select[Any]:
    """Select how many people the filters leave; enough is enough."""
    some = sa.select(sa.literal(1)).where(LISTED, *joined(profiles, filters)).order_by(profiles.c.created_at.desc())
    some = some.limit(sa.bindparam("enough", type_=sa.Integer))
    return sa.select(sa.func.count().label("number")).select_from(some.subquery("some"))


@lru_cache
def _walked(goes_on: bool) -> sa.Select[Any]:
    """Select the last one of those whom a page passes."""
    rows = sa.select(profiles.c.search_name, profiles.c.id).where(LISTED)
    if goes_on:
        rows = rows.where(after(profiles, "name"))
    return rows.order_by(*order(profiles, "name")).offset(sa.bindparam("passed", type_=sa.Integer)).limit(1)


def _cut(rows: sa.Select[Any], form: Form) -> sa.Select[Any]:
    """Return one page of the rows."""
    (source,) = rows.get_final_froms()
    if form.goes_on:
        rows = rows.where(after(source, form.sort))
    return rows.order_by(*order(source, form.sort)).limit(AT_MOST)


def _page(page: sa.Subquery, sort: Sort) -> sa.Select[Any]:
    """Select what is shown of the people of a page: only now are their rows read."""
    columns = [*profiles.columns, *relationship_columns(profiles.c.id)]
    if "score" in page.c:
        columns.append(page.c.score)
    return sa.select(*columns).join_from(page, profiles, profiles.c.id == page.c.id).order_by(*order(page, sort))


def _by_ids_and_handles() -> sa.Select[Any]:
    ids = sa.bindparam("ids", type_=pg.ARRAY(pg.UUID(as_uuid=True)))
    keys = sa.bindparam("handle_keys", type_=pg.ARRAY(sa.Text))
    nothing = sa.cast(sa.null(), sa.Text).label("by_key")
    retired_after = sa.bindparam("retired_after", type_=sa.DateTime(timezone=True))
    asked = sa.union_all(
        sa.select(profiles.c.id, nothing).where(profiles.c.id == sa.any_(ids)),
        sa.select(profiles.c.id, profiles.c.handle_key).where(profiles.c.handle_key == sa.any_(keys)),
        sa.select(retired_handles.c.user_id, retired_handles.c.handle_key).where(
            retired_handles.c.handle_key == sa.any_(keys), retired_handles.c.retired_at > retired_after
        ),
    ).subquery("asked")
    return (
        sa.select(asked.c.by_key, *profiles.columns, *relationship_columns(profiles.c.id))
        .join_from(asked, profiles, profiles.c.id == asked.c.id)
        .where(not_blocked_by(profiles.c.id))
    )


_BY_IDS_AND_HANDLES = _by_ids_and_handles()

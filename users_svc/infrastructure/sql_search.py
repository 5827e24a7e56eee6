"""Search on PostgreSQL: a few hundred candidates out of the indexes, and only these are ranked.

Three ways lead to candidates, the best first: the handle begins with the text, the name does, all words are somewhere
in them (trigrams). The first two read nothing but an index. The third is asked only if the others do not fill the page:
what it finds comes after all of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib.database import Sessions
from users_svc.domain.search_query import SearchFilters, SearchQuery, Sort, has_trigram
from users_svc.infrastructure.people import not_blocked_by, relationship_columns
from users_svc.infrastructure.tables import blocks, follows, profiles, retired_handles

#: of each way, before ranking
CANDIDATES = 200

_STEP = 1_000_000
"""Between the scores of two ways; the similarity, from 0 to 1, fills what lies between."""

_VIEWER = sa.bindparam("viewer_id", type_=pg.UUID(as_uuid=True))
_TEXT, _START = sa.bindparam("text", type_=sa.Text), sa.bindparam("start", type_=sa.Text)
_AT_MOST = sa.bindparam("at_most", type_=sa.Integer)
_LAST = sa.bindparam("last", type_=pg.UUID(as_uuid=True))
#: word for word that of the indexes: they hold nobody else
_LISTED = sa.and_(profiles.c.discoverable, sa.not_(profiles.c.private), sa.not_(profiles.c.disabled))


class _Form(NamedTuple):
    """What makes one statement differ from another; all the rest are parameters."""

    way: str
    words: tuple[bool, ...]
    sort: Sort
    filters: tuple[str, ...]
    goes_on: bool


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
        after: tuple[Any, UUID] | None,
        at_most: int,
    ) -> list[dict[str, Any]]:
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
        form = _Form(_way(query), tuple(map(has_trigram, query.words)), sort, tuple(wanted), after is not None)
        return self._sessions.all(_statement(form), **values)

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


def _way(query: SearchQuery) -> str:
    if query.email is not None:
        return "email"
    if query.prefix:
        return "prefix"
    return "words" if query.words else "everybody"


def _escaped(text: str) -> str:
    r"""Return a pattern for LIKE that stands for nothing but the text."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


@lru_cache(maxsize=512)
def _statement(form: _Form) -> sa.Select[Any]:
    """Return the SELECT of one page, compiled once."""
    visible = sa.and_(*_visible(), *(_FILTERS[name] for name in form.filters))
    if form.way == "everybody":
        listed = sa.select(profiles.c.id, profiles.c.created_at, profiles.c.search_name).where(visible)
        return _page(_cut(listed, form).subquery("page"), form.sort)
    found = _CANDIDATES[form.way](form, visible)
    rows = sa.select(found.c.id, found.c.score)
    if form.sort != "relevance":
        rows = rows.add_columns(profiles.c.created_at, profiles.c.search_name).join(
            profiles, profiles.c.id == found.c.id
        )
    candidates = rows.subquery("candidates")
    return _page(_cut(sa.select(candidates), form).subquery("page"), form.sort)


def _visible() -> list[sa.ColumnElement[bool]]:
    mine = sa.exists().where(blocks.c.blocker_id == _VIEWER, blocks.c.blocked_id == profiles.c.id)
    return [_LISTED, not_blocked_by(profiles.c.id), sa.not_(mine)]


_FILTERS: dict[str, sa.ColumnElement[bool]] = {
    "joined_after": profiles.c.created_at >= sa.bindparam("joined_after", type_=sa.DateTime(timezone=True)),
    "joined_before": profiles.c.created_at < sa.bindparam("joined_before", type_=sa.DateTime(timezone=True)),
    # As a list of ids, which the planner takes for short: it begins with them, and not with everybody.
    "following": profiles.c.id
    == sa.any_(
        sa.func.array(
            sa.select(follows.c.followee_id).where(follows.c.follower_id == _VIEWER).scalar_subquery(),
            type_=pg.ARRAY(pg.UUID(as_uuid=True)),
        )
    ),
}


def _similarity(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.round(sa.func.similarity(column, _TEXT) * (_STEP - 1)), sa.Integer)


def _beginning(column: sa.Column[Any], visible: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Select the first ones, in the order of the index, whose handle or name begins with the text."""
    return (
        sa.select(profiles.c.id, column.label("text"))
        .where(visible, column.like(_START))
        .order_by(column, profiles.c.id)
        .limit(CANDIDATES)
    )


def _by_prefix(_form: _Form, visible: sa.ColumnElement[bool]) -> sa.CTE:
    handles = _beginning(profiles.c.search_handle, visible).subquery("handles")
    names = _beginning(profiles.c.search_name, visible).subquery("names")
    of_handle = sa.case((handles.c.text == _TEXT, 3 * _STEP), else_=2 * _STEP) + _similarity(handles.c.text)
    both = sa.union_all(
        sa.select(handles.c.id, of_handle.label("score")),
        sa.select(names.c.id, (_STEP + _similarity(names.c.text)).label("score")),
    ).subquery("both")
    best = sa.select(both.c.id, sa.func.max(both.c.score).label("score")).group_by(both.c.id)
    return best.cte("prefixed").prefix_with("MATERIALIZED", dialect="postgresql")


def _by_words(form: _Form, visible: sa.ColumnElement[bool]) -> sa.Subquery:
    prefixed = _by_prefix(form, visible)
    others = sa.select(profiles.c.id, profiles.c.search_text).where(
        visible,
        *(_has_word(number, anywhere=anywhere) for number, anywhere in enumerate(form.words)),
        profiles.c.id.not_in(sa.select(prefixed.c.id)),
    )
    if form.sort == "relevance":
        ahead = sa.select(sa.func.count()).select_from(prefixed)
        if form.goes_on:
            ahead = ahead.where(_after(prefixed, form.sort))
        others = others.where(ahead.scalar_subquery() < _AT_MOST)
    rest = others.limit(CANDIDATES).subquery("others")
    return sa.union_all(
        sa.select(prefixed.c.id, prefixed.c.score), sa.select(rest.c.id, _similarity(rest.c.search_text))
    ).subquery("found")


def _has_word(number: int, *, anywhere: bool) -> sa.ColumnElement[bool]:
    """Return the condition for one word: somewhere, or, if it is too short for trigrams, where a word begins."""
    word, text = sa.bindparam(f"word{number}", type_=sa.Text), profiles.c.search_text
    if anywhere:
        return text.like(_unforeseen("%" + word + "%"))
    return sa.or_(text.like(_unforeseen(word + "%")), text.like(_unforeseen("% " + word + "%")))


def _unforeseen(pattern: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Return the pattern as something that the planner does not know.

    If it knew that a word is frequent, it would read the whole table until enough rows have it; where those rows are
    already found by their beginning, it would read to the end.
    """
    return sa.select(sa.cast(pattern, sa.Text)).scalar_subquery()


def _by_email(_form: _Form, visible: sa.ColumnElement[bool]) -> sa.Subquery:
    return (
        sa.select(profiles.c.id, sa.literal(0).label("score"))
        .where(visible, profiles.c.findable_by_email, profiles.c.email_key == sa.bindparam("email", type_=sa.Text))
        .limit(CANDIDATES)
        .subquery("found")
    )


_CANDIDATES = {"prefix": _by_prefix, "words": _by_words, "email": _by_email}


def _order(rows: sa.FromClause, sort: Sort) -> tuple[sa.ColumnElement[Any], ...]:
    if sort == "relevance":
        return rows.c.score.desc(), rows.c.id
    if sort == "newest":
        return rows.c.created_at.desc(), rows.c.id.desc()
    return rows.c.search_name, rows.c.id


def _after(rows: sa.FromClause, sort: Sort) -> sa.ColumnElement[bool]:
    """Return the condition for what comes after the last one that the caller has."""
    if sort == "relevance":
        place = sa.bindparam("place", type_=sa.BigInteger)
        return sa.or_(rows.c.score < place, sa.and_(rows.c.score == place, rows.c.id > _LAST))
    if sort == "newest":
        moment = sa.bindparam("place", type_=sa.DateTime(timezone=True))
        return sa.tuple_(rows.c.created_at, rows.c.id) < sa.tuple_(moment, _LAST)
    return sa.tuple_(rows.c.search_name, rows.c.id) > sa.tuple_(sa.bindparam("place", type_=sa.Text), _LAST)


def _cut(rows: sa.Select[Any], form: _Form) -> sa.Select[Any]:
    """Return one page of the rows."""
    (source,) = rows.get_final_froms()
    if form.goes_on:
        rows = rows.where(_after(source, form.sort))
    return rows.order_by(*_order(source, form.sort)).limit(_AT_MOST)


def _page(page: sa.Subquery, sort: Sort) -> sa.Select[Any]:
    """Select what is shown of the people of a page: only now are their rows read."""
    columns = [*profiles.columns, *relationship_columns(profiles.c.id)]
    if "score" in page.c:
        columns.append(page.c.score)
    return sa.select(*columns).join_from(page, profiles, profiles.c.id == page.c.id).order_by(*_order(page, sort))


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

"""Who can be on a page of search at all, as SELECTs whose work has an end.

Three ways lead to candidates, the best first: the handle begins with the text, the name does, all words are somewhere
in them (trigrams). The first two read nothing but an index. The third is asked only if the others do not fill the page:
what it finds comes after all of theirs.

Each way reads up to `EXAMINED` people, and only then looks whether the viewer may see them and the filters let them
pass: what nobody passes would else be read from end to end. PostgreSQL stops as soon as it has enough. Where a filter
leaves few people, it begins with these instead, and looks through all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from users_svc.domain.search_query import Sort
from users_svc.infrastructure.people import not_blocked_by
from users_svc.infrastructure.tables import blocks, follows, profiles

CANDIDATES = 200
"""People of each way, before ranking."""

EXAMINED = 1000
"""People of each way among whom the candidates are."""

FEW = 1000
"""People whom a filter leaves, so that all of them are looked through."""

FOLLOWED = 5000
"""People of those whom the viewer follows, the last ones: they too are looked through."""

_STEP = 1_000_000
"""Between the scores of two ways; the similarity, from 0 to 1, fills what lies between."""

VIEWER = sa.bindparam("viewer_id", type_=pg.UUID(as_uuid=True))
AT_MOST = sa.bindparam("at_most", type_=sa.Integer)
_TEXT, _START = sa.bindparam("text", type_=sa.Text), sa.bindparam("start", type_=sa.Text)
#: word for word that of the indexes: they hold nobody else
LISTED = sa.and_(profiles.c.discoverable, sa.not_(profiles.c.private), sa.not_(profiles.c.disabled))

Condition = sa.ColumnElement[bool]


class Form(NamedTuple):
    """What makes one statement differ from another; all the rest are parameters.

    :param words: of each, whether trigrams lead to it
    :param filters: names of those that were given
    :param few: these leave few people, who are the beginning
    :param goes_on: this is not the first page
    :param stops: the page passes so many people and no more
    """

    way: Literal["everybody", "prefix", "words", "email"]
    words: tuple[bool, ...]
    sort: Sort
    filters: tuple[str, ...]
    goes_on: bool
    few: bool = False
    stops: bool = False


def _moment(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=sa.DateTime(timezone=True))


#: the filters by age, on any rows that have ``created_at``
JOINED: dict[str, Callable[[sa.FromClause], Condition]] = {
    "joined_after": lambda rows: rows.c.created_at >= _moment("joined_after"),
    "joined_before": lambda rows: rows.c.created_at < _moment("joined_before"),
}


def joined(rows: sa.FromClause, filters: tuple[str, ...]) -> list[Condition]:
    """Return those of the filters by age that were given."""
    return [JOINED[name](rows) for name in filters if name in JOINED]


def _passing(rows: sa.FromClause, form: Form) -> list[Condition]:
    """Return the conditions for what is asked of people one by one."""
    mine = sa.exists().where(blocks.c.blocker_id == VIEWER, blocks.c.blocked_id == rows.c.id)
    return [not_blocked_by(rows.c.id), sa.not_(mine), *joined(rows, form.filters)]


def everybody(form: Form) -> sa.Select[Any]:
    """Select all who may be found. By age the index stops where a filter does; by name, the caller says where."""
    rows = sa.select(profiles.c.id, profiles.c.created_at, profiles.c.search_name).where(
        LISTED, *_passing(profiles, form)
    )
    if form.stops:
        last = sa.tuple_(sa.bindparam("stop_name", type_=sa.Text), sa.bindparam("stop_id", type_=pg.UUID(as_uuid=True)))
        rows = rows.where(sa.tuple_(profiles.c.search_name, profiles.c.id) <= last)
    return rows


def candidates(form: Form) -> sa.FromClause:
    """Return rows of ``id`` and ``score``; of few people also ``created_at`` and ``search_name``."""
    if form.way == "email":
        return _by_email(form)
    if form.few:
        return _among_few(form)
    return _by_prefix(form) if form.way == "prefix" else _by_words(form)


def _similarity(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.round(sa.func.similarity(column, _TEXT) * (_STEP - 1)), sa.Integer)


def _of_handle(handle: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.case((handle == _TEXT, 3 * _STEP), else_=2 * _STEP) + _similarity(handle)


def _of_name(name: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return _STEP + _similarity(name)


# --- few people -----------------------------------------------------------------------------------------------------


def _among_few(form: Form) -> sa.FromClause:
    if "following" in form.filters:
        ids = sa.select(follows.c.followee_id).where(follows.c.follower_id == VIEWER)
        ids = ids.order_by(follows.c.id.desc()).limit(FOLLOWED)
    else:
        ids = sa.select(profiles.c.id).where(LISTED, *joined(profiles, form.filters))
        ids = ids.order_by(profiles.c.created_at.desc(), profiles.c.id.desc()).limit(FEW)
    # A list of ids, which the planner takes for short, so that it begins with it; and first of all these people, so
    # that no other index seems better to it.
    chosen = sa.func.array(ids.scalar_subquery(), type_=pg.ARRAY(pg.UUID(as_uuid=True)))
    few = (
        sa.select(
            profiles.c.id,
            profiles.c.created_at,
            profiles.c.search_name,
            profiles.c.search_handle,
            profiles.c.search_text,
        )
        .where(profiles.c.id == sa.any_(chosen), LISTED, *_passing(profiles, form))
        .cte("few")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    columns = [few.c.id, few.c.created_at, few.c.search_name]
    if form.way == "everybody":
        return sa.select(*columns).subquery("found")
    of_handle, of_name = few.c.search_handle.like(_START), few.c.search_name.like(_START)
    ways: list[tuple[Condition, sa.ColumnElement[int]]] = [
        (of_handle, _of_handle(few.c.search_handle)),
        (of_name, _of_name(few.c.search_name)),
    ]
    if form.way == "words":
        ways.append((sa.and_(*_has_words(few.c.search_text, form)), _similarity(few.c.search_text)))
    score = sa.case(*ways, else_=0).label("score")
    return sa.select(*columns, score).where(sa.or_(*(condition for condition, _ in ways))).subquery("found")


# --- many people ----------------------------------------------------------------------------------------------------


def _beginning(column: sa.Column[Any], form: Form) -> sa.Subquery:
    """Select the first ones, in the order of the index, whose handle or name begins with the text."""
    rows = (
        sa.select(profiles.c.id, profiles.c.created_at, column.label("text"))
        .where(LISTED, column.like(_START))
        .order_by(column, profiles.c.id)
        .limit(EXAMINED)
        .subquery(f"{column.name}s")
    )
    some = sa.select(rows.c.id, rows.c.text).where(*_passing(rows, form)).order_by(rows.c.text, rows.c.id)
    return some.limit(CANDIDATES).subquery(f"by_{column.name}")


def _by_prefix(form: Form) -> sa.CTE:
    handles, names = _beginning(profiles.c.search_handle, form), _beginning(profiles.c.search_name, form)
    both = sa.union_all(
        sa.select(handles.c.id, _of_handle(handles.c.text).label("score")),
        sa.select(names.c.id, _of_name(names.c.text).label("score")),
    ).subquery("both")
    best = sa.select(both.c.id, sa.func.max(both.c.score).label("score")).group_by(both.c.id)
    return best.cte("prefixed").prefix_with("MATERIALIZED", dialect="postgresql")


def _by_words(form: Form) -> sa.Subquery:
    prefixed = _by_prefix(form)
    rows = sa.select(profiles.c.id, profiles.c.created_at, profiles.c.search_text).where(
        LISTED, *_has_words(profiles.c.search_text, form)
    )
    if form.sort == "relevance":
        ahead = sa.select(sa.func.count()).select_from(prefixed)
        if form.goes_on:
            ahead = ahead.where(after(prefixed, form.sort))
        rows = rows.where(ahead.scalar_subquery() < AT_MOST)
    others = rows.limit(EXAMINED).subquery("others")
    rest = (
        sa.select(others.c.id, others.c.search_text)
        .where(others.c.id.not_in(sa.select(prefixed.c.id)), *_passing(others, form))
        .limit(CANDIDATES)
        .subquery("rest")
    )
    return sa.union_all(
        sa.select(prefixed.c.id, prefixed.c.score), sa.select(rest.c.id, _similarity(rest.c.search_text))
    ).subquery("found")


def _has_words(text: sa.ColumnElement[Any], form: Form) -> list[Condition]:
    """Return a condition for each word: somewhere, or, if it is too short for trigrams, where a word begins."""
    conditions: list[Condition] = []
    for number, anywhere in enumerate(form.words):
        word = sa.bindparam(f"word{number}", type_=sa.Text)
        patterns = ["%" + word + "%"] if anywhere else [word + "%", "% " + word + "%"]
        conditions.append(sa.or_(*(text.like(_unforeseen(each)) for each in patterns)))
    return conditions


def _unforeseen(pattern: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Return the pattern as something that the planner does not know.

    If it knew that a word is frequent, it would read the whole table until enough rows have it; where those rows are
    already found by their beginning, it would read to the end.
    """
    return sa.select(sa.cast(pattern, sa.Text)).scalar_subquery()


def _by_email(form: Form) -> sa.Subquery:
    conditions = _passing(profiles, form)
    if "following" in form.filters:
        conditions.append(sa.exists().where(follows.c.follower_id == VIEWER, follows.c.followee_id == profiles.c.id))
    return (
        sa.select(profiles.c.id, sa.literal(0).label("score"))
        .where(LISTED, profiles.c.findable_by_email, profiles.c.email_key == sa.bindparam("email", type_=sa.Text))
        .where(*conditions)
        .limit(CANDIDATES)
        .subquery("found")
    )


# --- order ----------------------------------------------------------------------------------------------------------


def order(rows: sa.FromClause, sort: Sort) -> tuple[sa.ColumnElement[Any], ...]:
    if sort == "relevance":
        return rows.c.score.desc(), rows.c.id
    if sort == "newest":
        return rows.c.created_at.desc(), rows.c.id.desc()
    return rows.c.search_name, rows.c.id


def after(rows: sa.FromClause, sort: Sort) -> Condition:
    """Return the condition for what comes after the last one that the caller has."""
    last = sa.bindparam("last", type_=pg.UUID(as_uuid=True))
    if sort == "relevance":
        place = sa.bindparam("place", type_=sa.BigInteger)
        return sa.or_(rows.c.score < place, sa.and_(rows.c.score == place, rows.c.id > last))
    if sort == "newest":
        return sa.tuple_(rows.c.created_at, rows.c.id) < sa.tuple_(_moment("place"), last)
    return sa.tuple_(rows.c.search_name, rows.c.id) > sa.tuple_(sa.bindparam("place", type_=sa.Text), last)

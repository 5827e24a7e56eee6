"""A query past SQLAlchemy's execution gives what it gives there, and its listeners hear of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from deploy.local.infra import Infrastructure
from lib import direct
from lib.database import Sessions
from lib.ids import new_id
from tests.integration.lib.direct_messages import BARE, FULL, ID, database_of, kinds, open_engine, send
from tests.support.statements import statements

BY_ID = sa.select(kinds).where(kinds.c.id == sa.bindparam("id"))


@pytest.fixture(scope="module")
def place(infrastructure: Infrastructure) -> Iterator[sa.URL]:
    with database_of(infrastructure.environment()["POSTGRES_SUPERUSER_URL"], "direct_sql") as url:
        yield url


@pytest.fixture
def engine(place: sa.URL) -> Iterator[sa.Engine]:
    engine = open_engine(place)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("stored", [FULL, BARE], ids=["full", "bare"])
def test_a_row_is_what_sqlalchemy_makes_of_it(engine: sa.Engine, stored: dict[str, Any]) -> None:
    with engine.connect() as connection:
        expected = connection.execute(BY_ID, {"id": stored["id"]}).one()
    plan = direct.plan(BY_ID, {"id": stored["id"]}, engine.dialect)
    assert plan is not None
    for _ in range(2):
        row = plan.first(engine, {"id": stored["id"]})
        assert row is not None
        assert row == expected
        assert [type(each) for each in row] == [type(each) for each in expected]
        assert dict(row._mapping) == dict(expected._mapping) == stored
        assert (row.id, row[1], row._mapping[kinds.c.cipher]) == (stored["id"], stored["label"], stored["cipher"])
        assert Sessions(engine).first(BY_ID, id=stored["id"]) == stored
        assert Sessions(engine).all(BY_ID, id=stored["id"]) == [stored]


def test_nothing_found_is_nothing(engine: sa.Engine) -> None:
    sessions, plan = Sessions(engine), direct.plan(BY_ID, {"id": ID}, engine.dialect)
    assert plan is not None
    assert plan.first(engine, {"id": new_id()}) is None
    assert sessions.first(BY_ID, id=new_id()) is None
    assert sessions.all(BY_ID, id=new_id()) == []


NUMBER = sa.bindparam("number", type_=sa.Integer)
OTHER = kinds.alias("other")
QUERIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "values of its own": (
        sa.select(kinds.c.label, sa.literal("%(x)s %"), (NUMBER + 1).label("sum")).where(kinds.c.size == "large"),
        {"number": 1},
    ),
    "names that stand twice": (
        sa.select(kinds.c.id, OTHER.c.id, OTHER.c.data).where(
            kinds.c.id == sa.bindparam("a"), OTHER.c.id != kinds.c.id
        ),
        {"a": BARE["id"]},
    ),
    "a parameter that stands twice": (
        sa.select(NUMBER.label("x"), (NUMBER * 2).label("y")),
        {"number": 3},
    ),
    "two together": (
        sa.union_all(sa.select(kinds.c.words).where(kinds.c.id == sa.bindparam("id")), sa.select(sa.null())),
        {"id": ID},
    ),
    "a text that says its types": (
        sa.text("SELECT cipher, words, :cipher = cipher AS same FROM kinds WHERE id = :id")
        .bindparams(sa.bindparam("cipher", type_=sa.LargeBinary), sa.bindparam("id", type_=kinds.c.id.type))
        .columns(kinds.c.cipher, kinds.c.words, sa.column("same", sa.Boolean)),
        {"id": ID, "cipher": FULL["cipher"]},
    ),
    "an array": (
        sa.select(kinds.c.id).where(kinds.c.id == sa.any_(sa.bindparam("ids", type_=pg.ARRAY(kinds.c.id.type)))),
        {"ids": [ID, new_id()]},
    ),
    "an array of none": (
        sa.select(kinds.c.id).where(kinds.c.id == sa.any_(sa.bindparam("ids", type_=pg.ARRAY(kinds.c.id.type)))),
        {"ids": []},
    ),
    "JSON": (
        sa.select(kinds.c.id).where(kinds.c.data == sa.bindparam("data", type_=pg.JSONB)),
        {"data": FULL["data"]},
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_finds_what_it_finds_in_sqlalchemy(engine: sa.Engine, name: str) -> None:
    query, parameters = QUERIES[name]
    with engine.connect() as connection:
        expected = connection.execute(query, parameters).all()
    plan = direct.plan(query, parameters, engine.dialect)
    assert plan is not None
    assert plan.first(engine, parameters) == (expected[0] if expected else None)
    assert plan.records(engine, parameters) == [dict(row._mapping) for row in expected]


def test_a_query_whose_text_depends_on_its_values_is_left_to_sqlalchemy(engine: sa.Engine) -> None:
    among = sa.select(kinds.c.id).where(kinds.c.id.in_(sa.bindparam("ids", expanding=True)))
    assert direct.plan(among, {"ids": [ID]}, engine.dialect) is None
    assert Sessions(engine).all(among, ids=[ID, new_id()]) == [{"id": ID}]


def test_a_query_without_parameters_is_not_kept(engine: sa.Engine) -> None:
    before = direct._made.cache_info().misses
    assert Sessions(engine).first(sa.select(kinds.c.label).where(kinds.c.id == ID)) == {"label": FULL["label"]}
    assert direct._made.cache_info().misses == before


def test_a_text_among_the_columns_is_a_mistake(engine: sa.Engine) -> None:
    query = sa.select(sa.text("cipher"), kinds.c.id).where(kinds.c.id == sa.bindparam("id"))
    with pytest.raises(sa.exc.InvalidRequestError, match="literal_column"):
        Sessions(engine).first(query, id=ID)


def test_listeners_hear_of_each_message_and_may_change_it(engine: sa.Engine) -> None:
    after: list[Any] = []

    def change(_connection: Any, _cursor: Any, sql: str, values: Any, *_: Any) -> tuple[str, Any]:
        return f"{sql} + 1", values

    with statements(Sessions(engine)) as sent:
        assert send(engine, "select %(x)s", x=1) == [(1,)]
        assert Sessions(engine).first(BY_ID, id=ID) == FULL
    assert sent[0] == "select %(x)s"
    assert "FROM kinds" in sent[1]
    sa.event.listen(engine, "before_cursor_execute", change, retval=True)
    sa.event.listen(engine, "after_cursor_execute", lambda *call: after.append(call[2:4]))
    assert send(engine, "select %(x)s", x=1) == [(2,)]
    assert after == [("select %(x)s + 1", {"x": 1})]

"""How PostgreSQL goes about a search among 100,000 people: by its indexes, whoever asks and however far they page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from lib import config as configuration
from lib.database import Sessions, make_engine
from tests.conftest import ROOT
from tests.fakes.users import FakeIdentities
from tests.support import databases
from tests.support.schema import Schema
from tests.support.seeded_profiles import id_of, seed, settle, without_indexes
from users_svc.application.lookup_users import lookup_users
from users_svc.application.search_users import search_users
from users_svc.bootstrap import build_ports

PEOPLE = 100_000
VIEWER = str(id_of(7))
ONE_MORE_PAGE = 21

_EDGES = """
    INSERT INTO {table} ({first}, {second}, id, created_at)
    SELECT person(i), person(j), gen_random_uuid(), now()
    FROM (SELECT 7 AS i, 10 + n AS j FROM generate_series(1, 300) AS n
        UNION SELECT 10 + n, 7 FROM generate_series(301, 600) AS n
        UNION SELECT 1000 + n, 50000 + n * 3 FROM generate_series(1, 10000) AS n) AS edges
"""
_PERSON = """
    CREATE FUNCTION pg_temp.person(i int) RETURNS uuid LANGUAGE sql AS
    $$ SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid $$
"""

Nodes = list[dict[str, Any]]
Explain = Callable[[Callable[..., Any]], Nodes]


@pytest.fixture(scope="module")
def crowd(migrated: dict[str, str]) -> Iterator[Sessions]:
    """A database with very many people, some of whom follow or block each other."""
    schema = Schema(migrated, "users")
    schema.create()
    schema.up()
    owner = databases.admin(databases.on_database(migrated["POSTGRES_SUPERUSER_URL"], "users_migrations"))
    with owner.connect() as connection:
        with without_indexes(connection):
            seed(connection, 1, PEOPLE)
        connection.execute(sa.text(_PERSON))
        for table, first, second in (("blocks", "blocker_id", "blocked_id"), ("follows", "follower_id", "followee_id")):
            statement = _EDGES.format(table=table, first=first, second=second).replace("person(", "pg_temp.person(")
            connection.execute(sa.text(statement))
            connection.execute(sa.text(f"VACUUM ANALYZE {table}"))
        settle(connection)
    owner.dispose()
    app = databases.on_database(migrated["USERS_DATABASE_URL"], "users_migrations")
    engine = make_engine(app, statement_timeout=10, pool_size=2, application_name="tests")
    yield Sessions(engine)
    engine.dispose()
    schema.drop()


@pytest.fixture
def explain(crowd: Sessions) -> Explain:
    """``explain(search)`` calls ``search(ports)``, and returns the nodes of the plan of its one statement, as run."""

    def run(search: Callable[..., Any]) -> Nodes:
        ports = replace(
            build_ports(configuration.load(ROOT / "config.yaml", {}), crowd, None), identities=FakeIdentities()
        )
        sent: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            sent.append((statement, parameters))

        sa.event.listen(crowd.engine, "before_cursor_execute", note)
        search(ports)
        sa.event.remove(crowd.engine, "before_cursor_execute", note)
        ((statement, parameters),) = sent
        with crowd.engine.connect() as connection:
            options = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)"
            (plan,) = connection.exec_driver_sql(f"{options} {statement}", parameters).scalar_one()
        return list(_nodes(plan["Plan"]))

    return run


def _nodes(node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield dict(node)
    for each in node.get("Plans", ()):
        yield from _nodes(each)


def _whole_tables(nodes: Nodes) -> set[str]:
    return {each["Relation Name"] for each in nodes if each["Node Type"] == "Seq Scan"}


def _indexes(nodes: Nodes) -> set[str]:
    return {each["Index Name"] for each in nodes if "Index Name" in each}


def _most_rows_read(nodes: Nodes) -> int:
    """Return how many people one step of the plan has read at most, those included that it left out."""
    return max(
        (each["Actual Rows"] + each.get("Rows Removed by Filter", 0)) * each["Actual Loops"]
        for each in nodes
        if each.get("Relation Name") == "profiles"
    )


QUERIES = {
    "everybody": (None, {"profiles_newest_idx"}),
    "letter": ("m", {"profiles_search_handle_idx", "profiles_search_name_idx"}),
    "two letters": ("zi", {"profiles_search_handle_idx", "profiles_search_name_idx"}),
    "handle": ("maria_", {"profiles_search_handle_idx", "profiles_search_name_idx"}),
    "frequent start": ("maria", {"profiles_search_handle_idx", "profiles_search_name_idx"}),
    "frequent part": ("berg", {"profiles_search_text_idx"}),
    "rare part": ("f3a9", {"profiles_search_text_idx"}),
    "name": ("ximena castelwood", {"profiles_search_text_idx"}),
    "name backwards": ("castelwood ximena", {"profiles_search_text_idx"}),
    "long and short word": ("castelwood x", {"profiles_search_text_idx"}),
    "eight words": ("ann bee cee dee eee eff gee ach", {"profiles_search_text_idx"}),
    "nobody": ("qqqqqq", {"profiles_search_text_idx"}),
    "other script": ("москва", {"profiles_search_text_idx"}),
    "signs": ("%_%_%", {"profiles_search_handle_idx", "profiles_search_name_idx"}),
    "address": ("person13@example.com", {"profiles_email_key_idx"}),
    "address of nobody": ("nobody@example.com", {"profiles_email_key_idx"}),
}


@pytest.mark.parametrize("viewer", [None, VIEWER], ids=["anonymous", "signed in"])
@pytest.mark.parametrize("sort", [None, "newest", "name"])
@pytest.mark.parametrize("name", QUERIES)
def test_no_search_reads_a_whole_table(explain: Explain, name: str, sort: str | None, viewer: str | None) -> None:
    query, indexes = QUERIES[name]
    nodes = explain(lambda ports: search_users(ports, query=query, sort=sort, viewer_id=viewer))
    assert not _whole_tables(nodes)
    if name == "everybody" and sort == "name":
        indexes = {"profiles_search_name_idx"}
    assert indexes <= _indexes(nodes)
    if name != "everybody":
        assert "profiles_newest_idx" not in _indexes(nodes), "it would be read from end to end"


@pytest.mark.parametrize("query", [None, "maria", "berg", "x"])
@pytest.mark.parametrize("filters", [{"joined_after": "2025-01-02"}, {"joined_before": "2025-01-01T01:00Z"}])
def test_filters_read_no_whole_table(explain: Explain, query: str | None, filters: dict[str, str]) -> None:
    assert not _whole_tables(explain(lambda ports: search_users(ports, query=query, **filters)))


def test_those_whom_one_follows_are_found_from_there(explain: Explain) -> None:
    nodes = explain(lambda ports: search_users(ports, following=True, viewer_id=VIEWER))
    assert not _whole_tables(nodes)
    assert _most_rows_read(nodes) < 1000


@pytest.mark.parametrize("query", ["m", "maria", "mar", "berg", "ximena castelwood", "f3a9"])
def test_only_some_hundred_candidates_are_ranked(explain: Explain, query: str) -> None:
    nodes = explain(lambda ports: search_users(ports, query=query))
    assert _most_rows_read(nodes) < 1000


@pytest.mark.parametrize("sort", ["newest", "name"])
def test_a_page_far_down_costs_no_more_than_the_first(explain: Explain, sort: str) -> None:
    def page(ports: Any, number: int) -> Any:
        cursor = None
        for _ in range(number):
            cursor = search_users(ports, sort=sort, limit=100, cursor=cursor).next_cursor
        return cursor

    cursors: list[Any] = []

    def far(ports: Any) -> Any:
        return search_users(ports, sort=sort, cursor=cursors[0])

    def find_cursor(ports: Any) -> None:
        cursors.append(page(ports, 50))

    with pytest.raises(ValueError, match="too many values to unpack"):
        explain(find_cursor)  # fifty statements
    nodes = explain(far)
    assert not _whole_tables(nodes)
    assert _most_rows_read(nodes) <= ONE_MORE_PAGE + 5


def test_a_hundred_ids_and_handles_are_one_query_by_its_indexes(explain: Explain) -> None:
    ids = [str(id_of(number)) for number in range(100, 200)]
    handles = [f"seed{number}" for number in range(200, 300)]
    nodes = explain(lambda ports: lookup_users(ports, ids=ids, handles=handles, viewer_id=VIEWER))
    # The table of handles that were given up is small, and here it is empty.
    assert _whole_tables(nodes) <= {"retired_handles"}
    assert {"profiles_pkey", "profiles_handle_key_key"} <= _indexes(nodes)

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
from users_svc.application.pages import MAX_LIMIT
from users_svc.application.search_users import search_users
from users_svc.bootstrap import build_ports
from users_svc.infrastructure.search_candidates import CANDIDATES, EXAMINED, FEW, FOLLOWED
from users_svc.infrastructure.sql_search import WALK

PEOPLE = 100_000
VIEWER = str(id_of(7))
ONE_MORE_PAGE = 21

FOLLOWS_MANY = str(id_of(8))
#: the rows of candidates that are ranked otherwise than by how close they are, and of the page: read once more
AGAIN = 3 * CANDIDATES + MAX_LIMIT + 1

_FOLLOWS = """
    INSERT INTO follows (follower_id, followee_id, id, created_at)
    SELECT pg_temp.person(8), pg_temp.person(20000 + n), gen_random_uuid(), now() FROM generate_series(1, 20000) AS n
"""
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
def crowd(migrated: dict[str, str], without_autovacuum: None) -> Iterator[Sessions]:
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
        connection.execute(sa.text(_FOLLOWS))
        connection.execute(sa.text("VACUUM ANALYZE blocks, follows"))
        settle(connection)
    owner.dispose()
    app = databases.on_database(migrated["USERS_DATABASE_URL"], "users_migrations")
    engine = make_engine(app, statement_timeout=10, pool_size=2, application_name="tests")
    yield Sessions(engine)
    engine.dispose()
    schema.drop()


@pytest.fixture
def explain(crowd: Sessions) -> Explain:
    """``explain(search)`` calls ``search(ports)``, and returns the nodes of the plans of its statements, as run."""

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
        options, nodes = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)", []
        with crowd.engine.connect() as connection:
            for statement, parameters in sent:
                (plan,) = connection.exec_driver_sql(f"{options} {statement}", parameters).scalar_one()
                nodes += _nodes(plan["Plan"])
        return nodes

    return run


def _nodes(node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield dict(node)
    for each in node.get("Plans", ()):
        yield from _nodes(each)


def _whole_tables(nodes: Nodes) -> set[str]:
    return {each["Relation Name"] for each in nodes if each["Node Type"] == "Seq Scan"}


def _indexes(nodes: Nodes) -> set[str]:
    return {each["Index Name"] for each in nodes if "Index Name" in each}


def _read(node: Mapping[str, Any]) -> int:
    """Return how many rows a step has read, those included that it left out."""
    left_out = sum(node.get(f"Rows Removed by {each}", 0) for each in ("Filter", "Index Recheck"))
    return int((node["Actual Rows"] + left_out) * node["Actual Loops"])


def _rows_read(nodes: Nodes, *tables: str) -> int:
    """Return how many rows of the tables all steps have read together."""
    return sum(_read(each) for each in nodes if each.get("Relation Name") in tables)


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


FILTERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "nobody": {"joined_after": "2999-01-01"},
    "nobody before": {"joined_before": "1999-01-01"},
    "few": {"joined_before": "2025-01-01T00:10Z"},
    "the newest fourteen thousand": {"joined_after": "2025-01-02"},
    "the oldest eighty thousand": {"joined_before": "2025-01-01T22:30Z"},
    "fifteen hundred": {"joined_after": "2025-01-02T03:20Z"},
    "an hour": {"joined_after": "2025-01-01T12:00Z", "joined_before": "2025-01-01T13:00Z"},
    "followed": {"following": True},
    "nobody followed": {"following": True, "joined_after": "2999-01-01"},
    "followed and old": {"following": True, "joined_before": "2025-01-01T08:00Z"},
}


@pytest.mark.parametrize("sort", ["relevance", "newest", "name"])
@pytest.mark.parametrize("filters", FILTERS)
def test_the_work_has_an_end_whatever_the_filters_are(explain: Explain, filters: str, sort: str) -> None:
    """For every kind of text, on the first page and on the next."""
    for query in (None, "m", "zi", "maria", "berg", "f3a9", "castelwood x", "qqqqqq", "person13@example.com"):
        if query is None and sort == "relevance":
            continue
        cursor = None
        for number in range(2):
            found: list[Any] = []

            def page(
                ports: Any, query: str | None = query, cursor: str | None = cursor, found: list[Any] = found
            ) -> None:
                found.append(
                    search_users(
                        ports,
                        query=query,
                        sort=sort,
                        viewer_id=FOLLOWS_MANY,
                        limit=MAX_LIMIT,
                        cursor=cursor,
                        **FILTERS[filters],
                    )
                )

            nodes = explain(page)
            assert not _whole_tables(nodes), (query, number)
            followed = FOLLOWED if "following" in FILTERS[filters] else 0
            # The few are counted, chosen and read; or they are more: that is counted, the walk measured, and gone.
            most = followed or (FEW + 2 * max(FEW, WALK) if query is None else FEW + 3 * EXAMINED)
            assert _rows_read(nodes, "profiles") <= most + AGAIN, (query, number)
            assert _rows_read(nodes, "follows") <= followed + AGAIN, (query, number)
            cursor = found[0].next_cursor
            if cursor is None:
                break


def test_a_walk_in_the_order_of_names_finds_everybody_whom_the_filters_leave(crowd: Sessions) -> None:
    """Page by page, of which some are short; each of them once, in order."""
    filters: Any = {"joined_after": "2025-01-02T03:20Z"}
    ports = replace(build_ports(configuration.load(ROOT / "config.yaml", {}), crowd, None), identities=FakeIdentities())
    found, short, cursor = [], 0, None
    while True:
        page = search_users(ports, sort="name", limit=100, cursor=cursor, **filters)
        found += [each["id"] for each in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
        short += len(page.data) < 100
    with crowd() as session:
        query = (
            "SELECT id FROM profiles WHERE discoverable AND NOT private AND NOT disabled"
            " AND created_at >= timestamptz '2025-01-02 03:20Z' ORDER BY search_name, id"
        )
        assert found == list(session.execute(sa.text(query)).scalars())
    assert len(found) > 1000
    assert short > 10


def test_those_whom_one_follows_are_found_from_there(explain: Explain) -> None:
    nodes = explain(lambda ports: search_users(ports, following=True, viewer_id=VIEWER))
    assert not _whole_tables(nodes)
    assert _rows_read(nodes, "profiles") < 1000


@pytest.mark.parametrize("query", ["m", "maria", "mar", "berg", "ximena castelwood", "f3a9"])
def test_only_some_hundred_candidates_are_ranked(explain: Explain, query: str) -> None:
    nodes = explain(lambda ports: search_users(ports, query=query))
    assert _rows_read(nodes, "profiles") < 1000


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

    explain(find_cursor)
    nodes = explain(far)
    assert not _whole_tables(nodes)
    assert _rows_read(nodes, "profiles") <= 2 * (ONE_MORE_PAGE + 5)


def test_a_hundred_ids_and_handles_are_one_query_by_its_indexes(explain: Explain) -> None:
    ids = [str(id_of(number)) for number in range(100, 200)]
    handles = [f"seed{number}" for number in range(200, 300)]
    nodes = explain(lambda ports: lookup_users(ports, ids=ids, handles=handles, viewer_id=VIEWER))
    # The table of handles that were given up is small, and here it is empty.
    assert _whole_tables(nodes) <= {"retired_handles"}
    assert {"profiles_pkey", "profiles_handle_key_key"} <= _indexes(nodes)

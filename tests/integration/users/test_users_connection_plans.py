"""How PostgreSQL finds the pages of long lists: along an index, as far as the page goes, wherever it begins."""

from functools import partial

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from users_svc.application.list_connections import list_blocks, list_follow_requests, list_followers, list_following

PEOPLE, EACH, LIMIT = 5_000, 20, 20
#: what is read at most for a page: one more row than shown tells whether there is a next one
READ = LIMIT + 1
TABLES = {
    "follows": ("follower_id", "followee_id"),
    "follow_requests": ("requester_id", "target_id"),
    "blocks": ("blocker_id", "blocked_id"),
    "mutes": ("muter_id", "muted_id"),
}


pytestmark = pytest.mark.usefixtures("without_autovacuum")


@pytest.fixture
def star(users_sessions, database, person):
    """Somebody whom all the others follow, ask and block, and who does the same, among a hundred thousand edges."""
    star = person(name="Star")
    with database("users_sql") as connection:
        connection.execute(
            sa.text(
                "insert into profiles (id, email, display_name, created_at, updated_at)"
                " select gen_random_uuid(), 'p' || n, 'Person', now(), now() from generate_series(1, :n) as n"
            ),
            {"n": PEOPLE},
        )
        connection.execute(
            sa.text("insert into connection_counts select id, 0, 0, 0 from profiles on conflict do nothing")
        )
        for table, (source, target) in TABLES.items():
            # One cannot see who blocks oneself: the list would have nobody.
            ways = ((source, target), (target, source))[: 1 if table == "blocks" else 2]
            for first, second in ways:
                connection.execute(
                    sa.text(
                        f"insert into {table} ({first}, {second}, id, created_at)"
                        " select :star, id, gen_random_uuid(), now() from profiles where id <> :star"
                    ),
                    {"star": star},
                )
            connection.execute(
                sa.text(
                    "with numbered as (select id, row_number() over () as n from profiles where id <> :star)"
                    f" insert into {table} ({source}, {target}, id, created_at)"
                    " select a.id, b.id, gen_random_uuid(), now()"
                    " from numbered as a join numbered as b on b.n between a.n + 1 and a.n + :each"
                ),
                {"star": star, "each": EACH if table == "follows" else 2},
            )
        edges = connection.execute(sa.text("select count(*) from follows")).scalar_one()
        connection.commit()
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("analyze"))
    assert edges > PEOPLE * EACH
    return star


@pytest.fixture
def plans(users_sessions):
    """Run something, and return how its last statement was planned and run."""

    def explained(call):
        found = []

        def note(connection, cursor, statement, parameters, context, executemany):
            found.append((statement, parameters))

        sa.event.listen(users_sessions.engine, "before_cursor_execute", note)
        try:
            call()
        finally:
            sa.event.remove(users_sessions.engine, "before_cursor_execute", note)
        statement, parameters = found[-1]
        with users_sessions() as session:
            cursor = session.connection().connection.cursor()
            cursor.execute("explain (analyze, format json) " + statement, parameters)
            (plan,) = cursor.fetchone()[0]
        return list(nodes(plan["Plan"]))

    return explained


def nodes(plan):
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


LISTS = {
    "followers": (list_followers, "follows_followee_id_idx"),
    "following": (list_following, "follows_follower_id_idx"),
    "blocks": (list_blocks, "blocks_blocker_id_idx"),
    "follow-requests": (list_follow_requests, "follow_requests_target_id_idx"),
}


def test_every_page_is_read_along_the_index_and_no_further(users_sessions, ports, star, plans):
    for name, (list_, index) in LISTS.items():
        options = {"user_id": str(star), "limit": LIMIT}
        if list_ in (list_followers, list_following):
            options["viewer_id"] = str(new_id())
        cursor = None
        for page in range(4):
            found = plans(partial(list_, ports, cursor=cursor, **options))
            assert not planned(found, "Seq Scan", "Sort"), name
            scan = listed(found)
            assert scan["Index Name"] == index, name
            # Each row of the page, wherever it begins: nothing is skipped as by an offset.
            assert scan["Actual Rows"] == READ, (name, page)
            cursor = list_(ports, cursor=cursor, **options).next_cursor

    # What is counted above would tell an offset.
    with users_sessions() as session:
        skipping = "select id from follows as listed where followee_id = :star order by id desc offset 200 limit 20"
        plan = session.execute(sa.text(f"explain (analyze, format json) {skipping}"), {"star": star}).scalar_one()[0]
    assert listed(list(nodes(plan["Plan"])))["Actual Rows"] > READ


def listed(found):
    """Return the node that reads the list itself."""
    (scan,) = [each for each in found if each.get("Alias") == "listed"]
    return scan


def planned(found, *types):
    """Return the nodes of some types, and of which table they are."""
    return [(each["Node Type"], each.get("Relation Name")) for each in found if each["Node Type"] in types]

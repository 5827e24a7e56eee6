"""What somebody whom others block can make of the counts of followers: they are those of the lists beside them."""

import pytest
import sqlalchemy as sa

from tests.integration.users.connecting import do
from tests.support.statements import statements
from users_svc.application.get_profile import get_profile
from users_svc.application.get_user import get_user
from users_svc.application.list_connections import list_followers, list_following
from users_svc.infrastructure.people import _VIEW, SqlPeople


@pytest.fixture
def people(ports, person):
    """Ann, whom Bob, Cat and Dan follow and who follows them; Bob and Cat block Eve, and Dan does not."""
    found = {name: person(name.title()) for name in ("ann", "bob", "cat", "dan", "eve")}
    for name in ("bob", "cat", "dan"):
        do(ports, "follow", found[name], found["ann"])
        do(ports, "follow", found["ann"], found[name])
    for name in ("bob", "cat"):
        do(ports, "block", found[name], found["eve"])
    return found


def seen(ports, user_id, viewer_id):
    """Return the counts, and the lengths of the lists."""
    viewer = None if viewer_id is None else str(viewer_id)
    user = get_user(ports, user_id=str(user_id), viewer_id=viewer)
    lists = [each(ports, user_id=str(user_id), viewer_id=viewer).data for each in (list_followers, list_following)]
    return (user.followers_count, user.following_count), tuple(map(len, lists))


@pytest.mark.parametrize(("viewer", "number"), [("eve", 1), ("dan", 3), ("bob", 3), ("ann", 3), (None, 3)], ids=str)
def test_the_counts_are_those_of_the_lists(ports, people, viewer, number):
    expected = (number, number)
    assert seen(ports, people["ann"], people.get(viewer)) == (expected, expected)


def test_a_block_of_somebody_who_is_in_no_list_changes_no_count(ports, people, person):
    do(ports, "block", person("Fay"), people["eve"])
    assert seen(ports, people["ann"], people["eve"])[0] == (1, 1)
    own = get_profile(ports, user_id=str(people["ann"]))
    assert (own["followers_count"], own["following_count"]) == (3, 3)


@pytest.mark.parametrize("name", ["ann", "bob", "eve"])
def test_what_somebody_sees_of_themselves_is_what_the_view_of_others_would_tell(users_sessions, people, name):
    user_id = people[name]
    with statements(users_sessions) as sent:
        own = SqlPeople(users_sessions).view(user_id, user_id)
    assert own == users_sessions.first(_VIEW, user_id=user_id, viewer_id=user_id)
    assert "blocks" not in sent[0]
    assert own["followers_count"] == (3 if name == "ann" else int(name == "bob"))


def test_the_counts_of_a_popular_person_cost_no_walk_through_their_followers(users_sessions, database, ports, people):
    with database("users_sql") as connection:
        crowd = (
            "insert into profiles (id, email, display_name, created_at, updated_at)"
            " select gen_random_uuid(), 'p' || n, 'Person', now(), now() from generate_series(1, 20000) as n",
            "insert into connection_counts select id, 0, 0, 0 from profiles on conflict do nothing",
            "insert into follows select id, :ann, gen_random_uuid(), now() from profiles where email like 'p%'",
        )
        for statement in crowd:
            connection.execute(sa.text(statement), {"ann": people["ann"]} if ":ann" in statement else {})
        connection.commit()
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("analyze"))
    sent = []
    sa.event.listen(users_sessions.engine, "before_cursor_execute", lambda *args: sent.append(args[2:4]))
    get_user(ports, user_id=str(people["ann"]), viewer_id=str(people["eve"]))
    ((statement, parameters),) = sent
    with users_sessions.engine.connect() as connection:
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
        (plan,) = connection.exec_driver_sql(explain, parameters).scalar_one()
    assert most_read(plan["Plan"]) < 20


def most_read(node):
    """Return how many rows a step has read at most."""
    here = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return max([here, *map(most_read, node.get("Plans", ()))])

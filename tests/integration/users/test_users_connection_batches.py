"""Very many edges change at once, a hundred at a time: whatever is killed in between goes on where it was."""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from tests.integration.users.connecting import counted, counts, do, edges, events
from users_svc.application import close_profile as closing
from users_svc.application import settle_requests as settling
from users_svc.application.close_profile import close_profile
from users_svc.application.edit_profile import edit_profile
from users_svc.application.settle_requests import settle_requests
from users_svc.application.update_preferences import update_preferences
from users_svc.domain.preference_records import InvalidPreference
from users_svc.infrastructure.tables import inbox, profiles, tombstones
from users_svc.presentation.service import UsersService


class Killed(BaseException):
    """The process ends here."""


def killed_after(ports, commits):
    """Return the ports of a process that is killed after so many commits: the next one does not reach PostgreSQL."""
    left = [commits]

    @contextmanager
    def unit_of_work():
        with ports.unit_of_work() as uow:
            commit = uow.commit

            def dying():
                if not left[0]:
                    raise Killed
                left[0] -= 1
                commit()

            uow.commit = dying
            yield uow

    return replace(ports, unit_of_work=unit_of_work)


@pytest.fixture
def locked(users_sessions):
    """How many rows of profiles and counts each transaction has locked or changed, in the order of their ends.

    A row that was locked and then changed bears the transaction as the one that made it.
    """
    found = []

    def note(connection):
        query = "SELECT count(*) FROM {} WHERE pg_current_xact_id()::xid IN (xmin, xmax)"
        number = sum(
            connection.exec_driver_sql(query.format(table)).scalar_one() for table in ("profiles", "connection_counts")
        )
        if number:
            found.append(number)

    sa.event.listen(users_sessions.engine, "commit", note)
    yield found
    sa.event.remove(users_sessions.engine, "commit", note)


@pytest.fixture
def crowd(users_sessions, database, person):
    """``crowd(number)`` makes so many people at once."""

    def make(number):
        with database("users_sql") as connection:
            query = (
                "with people as (insert into profiles (id, email, display_name, created_at, updated_at)"
                " select gen_random_uuid(), 'p' || n, 'Person', now(), now() from generate_series(1, :n) as n"
                " returning id), counts as (insert into connection_counts (user_id) select id from people)"
                " select id from people"
            )
            people = list(connection.execute(sa.text(query), {"n": number}).scalars())
            connection.commit()
        return people

    return make


@pytest.fixture
def asking(users_sessions, database, crowd):
    """``asking(user_id, number)`` makes people who wait to follow somebody."""

    def make(user_id, number):
        people = crowd(number)
        with database("users_sql") as connection:
            query = "insert into follow_requests select id, :user_id, gen_random_uuid(), now() from unnest(:ids) as id"
            connection.execute(sa.text(query), {"user_id": user_id, "ids": people})
            connection.commit()
        return people

    return make


def opened(ports, sessions):
    """Hand the news of an opened account to its handler, as the broker does."""
    for event in events(sessions):
        if event["type"] == "user.follow_opened":
            UsersService.on_user_follow_opened(SimpleNamespace(ports=ports), event)


# --- everybody may follow from now on ---


def test_many_who_wait_are_let_in_by_the_hundred(users_sessions, ports, person, asking, locked):
    shy = person(private=True)
    people = asking(shy, 2 * settling.BATCH + 1)
    edit_profile(ports, user_id=str(shy), changes={"private": False})
    locked.clear()
    opened(ports, users_sessions)
    assert edges(users_sessions) == {("follow", each, shy) for each in people}
    assert counts(users_sessions) == counted(users_sessions)
    told = [each for each in events(users_sessions) if each["type"] == "user.follow_accepted"]
    assert [each["sequence"] for each in told] == list(range(1, len(people) + 1))
    # Two rows for each of them and for whom they follow.
    assert len(locked) == 3
    assert max(locked) <= 2 * (settling.BATCH + 1)


@pytest.mark.parametrize("commits", [0, 1, 2, 3])
def test_a_settling_that_is_killed_is_finished_by_the_next_delivery(users_sessions, ports, person, asking, commits):
    shy = person(private=True)
    people = asking(shy, 10)
    edit_profile(ports, user_id=str(shy), changes={"private": False})
    with pytest.raises(Killed):
        settle_requests(killed_after(ports, commits), user_id=str(shy), batch=3)
    assert sum(each[0] == "follow" for each in edges(users_sessions)) == 3 * commits
    assert counts(users_sessions) == counted(users_sessions)
    for _ in range(2):
        opened(ports, users_sessions)
    assert edges(users_sessions) == {("follow", each, shy) for each in people}
    assert counts(users_sessions) == counted(users_sessions)
    assert sum(each["type"] == "user.follow_accepted" for each in events(users_sessions)) == len(people)


def test_who_is_private_again_by_then_goes_on_choosing(users_sessions, ports, person, asking):
    shy = person(private=True)
    people = asking(shy, 3)
    for private in (False, True):
        edit_profile(ports, user_id=str(shy), changes={"private": private})
    opened(ports, users_sessions)
    assert edges(users_sessions) == {("request", each, shy) for each in people}


def test_who_asks_between_two_looks_is_let_in_too(users_sessions, ports, person, asking):
    """Whom to lock is read first: somebody may ask between that and the locks."""
    shy, late = person(private=True), person("Late")
    people = asking(shy, 2)
    begun = []

    def ask(_connection, _cursor, statement, *_):
        if "follow_requests.requester_id" in statement and not begun:
            begun.append(True)
            do(ports, "follow", late, shy)
            edit_profile(ports, user_id=str(shy), changes={"private": False})

    sa.event.listen(users_sessions.engine, "after_cursor_execute", ask)
    # At the first look it is still private, in a process that has heard of it early.
    settle_requests(ports, user_id=str(shy))
    sa.event.remove(users_sessions.engine, "after_cursor_execute", ask)
    assert edges(users_sessions) == {("follow", each, shy) for each in (*people, late)}


def test_accepting_by_itself_lets_those_in_who_wait(users_sessions, ports, person, asking):
    shy = person(private=True)
    people = asking(shy, 3)
    turn = {"user_id": str(shy), "kind": "settings"}
    update_preferences(ports, **turn, changes={"show_online": False})
    with pytest.raises(InvalidPreference):
        update_preferences(ports, **turn, changes={"auto_accept_follow_requests": "yes"})
    update_preferences(ports, user_id=str(shy), kind="preferences", changes={"theme": "dark"})
    assert events(users_sessions) == []
    for changes in ({"auto_accept_follow_requests": True}, {"show_online": True}, {"hide_network": True}):
        update_preferences(ports, **turn, changes=changes)
    (event,) = events(users_sessions)
    assert (event["type"], event["data"]) == ("user.follow_opened", {"id": str(shy)})
    opened(ports, users_sessions)
    assert edges(users_sessions) == {("follow", each, shy) for each in people}


# --- somebody goes for good ---


@pytest.fixture
def hub(users_sessions, database, person, crowd):
    """``hub(number)`` makes somebody with so many edges of each kind, in both directions.

    :param tables, pairs: which kinds, in which directions
    """

    def make(number, tables=("follows", "follow_requests", "blocks", "mutes"), pairs=(":star, id", "id, :star")):
        out, back = (int(each in pairs) for each in (":star, id", "id, :star"))
        star, people = person("Star", handle="star", handle_key="star"), crowd(number)
        with database("users_sql") as connection:
            for table in tables:
                for pair in pairs:
                    query = f"insert into {table} select {pair}, gen_random_uuid(), now() from unnest(:ids) as id"
                    connection.execute(sa.text(query), {"star": star, "ids": people})
            query = "update connection_counts set followers = :back, following = :out where user_id = any(:ids)"
            connection.execute(sa.text(query), {"ids": [star], "out": out * number, "back": back * number})
            connection.execute(sa.text(query), {"ids": people, "out": back, "back": out})
            connection.commit()
        return star

    return make


def test_somebody_with_very_many_edges_goes_by_the_hundred(users_sessions, ports, hub, locked):
    # Each of the eight kinds of edges may give others first, so one transaction may take eight times as many people.
    star = hub(8 * closing.BATCH + 1)
    locked.clear()
    close_profile(ports, event_id=str(new_id()), user_id=str(star))
    assert edges(users_sessions) == set()
    assert counts(users_sessions) == counted(users_sessions)
    assert star not in counts(users_sessions)
    assert len(locked) >= 2
    assert max(locked) <= 8 * closing.BATCH + 2


@pytest.mark.parametrize("pair", [":star, id", "id, :star"])
def test_of_one_kind_of_edges_each_transaction_takes_one_batch(users_sessions, ports, hub, locked, pair):
    star = hub(3 * closing.BATCH + 1, tables=["follows"], pairs=[pair])
    locked.clear()
    close_profile(ports, event_id=str(new_id()), user_id=str(star))
    assert edges(users_sessions) == set()
    assert counts(users_sessions) == counted(users_sessions)
    assert len(locked) == 4
    assert max(locked) <= closing.BATCH + 2


@pytest.mark.parametrize("commits", [0, 1, 3, 4])
def test_a_deletion_that_is_killed_is_finished_by_the_next_delivery(users_sessions, ports, hub, person, commits):
    # A batch takes up to sixteen of them: two of each of eight kinds of edges, and those may be others of each kind.
    star, other, event_id = hub(70), person("Other"), str(new_id())
    with pytest.raises(Killed):
        close_profile(killed_after(ports, commits), event_id=event_id, user_id=str(star), batch=2)
    found = edges(users_sessions)
    assert 0 < len(found) <= 560
    assert (len(found) < 560) == (commits > 0)
    assert counts(users_sessions) == counted(users_sessions)
    with users_sessions() as session:
        assert session.scalar(sa.select(profiles.c.disabled).where(profiles.c.id == star)) == (commits > 0)
        assert session.execute(sa.select(inbox)).all() == session.execute(sa.select(tombstones)).all() == []
    if commits:
        # Hidden, so that nothing new begins at somebody who goes; what they still do goes, too.
        do(ports, "unfollow", other, star)
        do(ports, "follow", star, other)
    for _ in range(2):
        close_profile(ports, event_id=event_id, user_id=str(star), batch=2)
    assert edges(users_sessions) == set()
    assert counts(users_sessions) == counted(users_sessions)
    with users_sessions() as session:
        assert session.execute(sa.select(tombstones.c.id)).scalars().all() == [star]
        assert len(session.execute(sa.select(inbox)).all()) == 1

"""Lists of people, relationships and counts on PostgreSQL: what whom is shown, in which order."""

import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from lib.ids import new_id
from tests.integration.users.conftest import DEFAULTS
from tests.integration.users.connecting import counts, do
from tests.support.statements import statements
from users_svc.application.get_relationships import get_relationship, get_relationships
from users_svc.application.get_user import get_user
from users_svc.application.list_connections import list_blocks, list_follow_requests, list_followers, list_following
from users_svc.application.pages import InvalidCursor, InvalidLimit
from users_svc.application.reconcile_counts import reconcile_counts
from users_svc.domain.connection import NetworkHidden, NotOneself, PrivateAccount, TooManyIds
from users_svc.domain.profile import UserNotFound
from users_svc.domain.relationship import Relationship
from users_svc.infrastructure.tables import connection_counts, preference_records, profiles
from users_svc.presentation.cli import commands


@pytest.fixture
def ann(person):
    return person(name="Ann", handle="ann", handle_key="ann")


@pytest.fixture
def bob(person):
    return person(name="Bob")


@pytest.fixture
def write(users_sessions):
    """Change columns of a profile."""

    def make(user_id, **values):
        with users_sessions() as session:
            session.execute(sa.update(profiles).where(profiles.c.id == user_id).values(**values))
            session.commit()

    return make


def ids(page):
    return [each["id"] for each in page.data]


def listed(ports, list_, user_id, viewer_id=None, **options):
    """Return a page, as `viewer_id` sees it; blocks and requests are seen by their owner."""
    if list_ in (list_followers, list_following):
        options["viewer_id"] = None if viewer_id is None else str(viewer_id)
    return list_(ports, user_id=str(user_id), **options)


def edge(ports, list_, user_id, other_id):
    """Make `other_id` stand in a list of `user_id`."""
    if list_ is list_followers:
        do(ports, "follow", other_id, user_id)
    elif list_ is list_following:
        do(ports, "follow", user_id, other_id)
    elif list_ is list_blocks:
        do(ports, "block", user_id, other_id)
    else:
        do(ports, "follow", other_id, user_id)


LISTS = [list_followers, list_following, list_blocks, list_follow_requests]
each_list = pytest.mark.parametrize("list_", LISTS, ids=lambda each: each.__name__)


@pytest.fixture
def owner(person):
    """Return whose list it is: only a private account is asked."""
    return lambda list_: person(name="Owner", private=list_ is list_follow_requests)


# --- who is listed ---


@each_list
def test_a_list_has_the_newest_first_with_what_is_between_them_and_the_viewer(ports, person, owner, list_):
    mine, others = owner(list_), [person(name=f"Person {number}") for number in range(3)]
    for other in others:
        edge(ports, list_, mine, other)
    page = listed(ports, list_, mine, mine)
    assert (ids(page), page.next_cursor) == (others[::-1], None)
    newest = page.data[0]
    assert set(newest) == {"id", "handle", "display_name", "avatar_url", "since", "relationship"}
    assert newest["display_name"] == "Person 2"
    assert newest["since"] == max(each["since"] for each in page.data)
    assert newest["relationship"] == Relationship(
        others[2],
        followed_by=list_ is list_followers,
        following=list_ is list_following,
        blocking=list_ is list_blocks,
        requested_by=list_ is list_follow_requests,
    )


@each_list
def test_a_list_of_nobody_is_empty(ports, owner, list_):
    mine = owner(list_)
    page = listed(ports, list_, mine, mine)
    assert (page.data, page.next_cursor) == ([], None)


@each_list
def test_who_is_disabled_is_not_listed(ports, person, owner, write, list_):
    mine, other, hidden = owner(list_), person(), person()
    for each in (other, hidden):
        edge(ports, list_, mine, each)
    write(hidden, disabled=True)
    assert ids(listed(ports, list_, mine, mine)) == [other]
    write(hidden, disabled=False)
    assert ids(listed(ports, list_, mine, mine)) == [hidden, other]


@pytest.mark.parametrize("list_", LISTS[:2], ids=lambda each: each.__name__)
def test_who_blocks_the_viewer_is_not_listed(ports, person, ann, bob, list_):
    mine, third = person(), person()
    for each in (ann, bob, third):
        edge(ports, list_, mine, each)
    do(ports, "block", bob, ann)
    assert ids(listed(ports, list_, mine, ann)) == [third, ann]
    for viewer in (mine, third, bob, None):
        assert ids(listed(ports, list_, mine, viewer)) == [third, bob, ann]


@pytest.mark.parametrize("list_", LISTS[:2], ids=lambda each: each.__name__)
def test_the_lists_of_somebody_who_blocks_the_viewer_are_those_of_nobody(users_sessions, ports, ann, bob, list_):
    do(ports, "block", bob, ann)
    with statements(users_sessions) as seen, pytest.raises(UserNotFound) as blocked:
        listed(ports, list_, bob, ann)
    with statements(users_sessions) as usual, pytest.raises(UserNotFound) as unknown:
        listed(ports, list_, new_id(), ann)
    assert (blocked.value.message, blocked.value.details) == (unknown.value.message, unknown.value.details)
    assert [each[0] for each in seen] == [each[0] for each in usual]
    assert ids(listed(ports, list_, ann, bob)) == []


def test_the_blocker_still_sees_the_block_list(ports, ann, bob):
    do(ports, "block", ann, bob)
    (blocked,) = listed(ports, list_blocks, ann).data
    assert (blocked["id"], blocked["relationship"].blocking) == (bob, True)
    assert listed(ports, list_blocks, bob).data == []


@pytest.mark.parametrize("list_", LISTS[:2], ids=lambda each: each.__name__)
def test_the_lists_of_a_private_account_are_for_its_followers(ports, person, ann, bob, write, list_):
    edge(ports, list_, ann, bob)
    follower, asking = person(), person()
    do(ports, "follow", follower, ann)
    write(ann, private=True)
    do(ports, "follow", asking, ann)
    seen = [bob] if list_ is list_following else [follower, bob]
    for viewer in (ann, follower):
        assert ids(listed(ports, list_, ann, viewer)) == seen
    for viewer in (asking, None, *([bob] if list_ is list_following else [])):
        with pytest.raises(PrivateAccount):
            listed(ports, list_, ann, viewer)


@pytest.mark.parametrize("list_", LISTS[:2], ids=lambda each: each.__name__)
def test_a_hidden_network_is_seen_by_its_owner_only(users_sessions, ports, ann, bob, list_):
    edge(ports, list_, ann, bob)
    for hidden in (True, False):
        with users_sessions() as session:
            session.execute(sa.delete(preference_records))
            session.execute(
                sa.insert(preference_records).values(
                    user_id=ann,
                    kind="settings",
                    schema_version=1,
                    version=1,
                    updated_at=ports.now(),
                    data={"hide_network": hidden},
                )
            )
            session.commit()
        assert ids(listed(ports, list_, ann, ann)) == [bob]
        for viewer in (bob, None):
            if hidden:
                with pytest.raises(NetworkHidden):
                    listed(ports, list_, ann, viewer)
            else:
                assert ids(listed(ports, list_, ann, viewer)) == [bob]


def test_the_lists_of_a_disabled_account_are_for_itself(ports, ann, bob, write):
    do(ports, "follow", bob, ann)
    write(ann, disabled=True)
    assert ids(listed(ports, list_followers, ann, ann)) == [bob]
    for viewer in (bob, None):
        with pytest.raises(UserNotFound):
            listed(ports, list_followers, ann, viewer)


def test_a_person_shows_in_a_list_what_they_show_the_viewer(ports, person, ann, bob):
    secret = person(
        name="Secret",
        handle="secret",
        handle_key="secret",
        avatar_url="https://example.com/a.png",
        visibility={"handle": "private", "display_name": "followers", "avatar_url": "mutuals"},
    )
    for follower, followee in ((secret, ann), (bob, secret)):
        do(ports, "follow", follower, followee)

    def seen_by(viewer):
        (item,) = [each for each in listed(ports, list_followers, ann, viewer).data if each["id"] == secret]
        return item["handle"], item["display_name"], item["avatar_url"], item["relationship"] is not None

    assert seen_by(None) == (None, None, None, False)
    assert seen_by(ann) == (None, None, None, True)
    assert seen_by(bob) == (None, "Secret", None, True)
    assert seen_by(secret) == ("secret", "Secret", "https://example.com/a.png", False)
    do(ports, "follow", secret, bob)
    assert seen_by(bob) == (None, "Secret", "https://example.com/a.png", True)


@pytest.mark.parametrize("user_id", ["", "no id", str(new_id())])
@pytest.mark.parametrize("list_", LISTS[:2], ids=lambda each: each.__name__)
def test_nobody_has_no_lists(ports, ann, list_, user_id):
    for viewer in (ann, None):
        with pytest.raises(UserNotFound):
            listed(ports, list_, user_id, viewer)


# --- pages ---


@each_list
def test_pages_stay_in_step_while_edges_come_and_go(ports, person, owner, list_):
    mine, others = owner(list_), [person() for _ in range(9)]
    for other in others[:7]:
        edge(ports, list_, mine, other)
    first = listed(ports, list_, mine, mine, limit=3)
    assert ids(first) == others[6:3:-1]
    for other in others[7:]:
        edge(ports, list_, mine, other)
    if list_ in (list_followers, list_follow_requests):
        do(ports, "unfollow", others[4], mine)
        do(ports, "unfollow", others[2], mine)
    else:
        for other in (others[4], others[2]):
            do(ports, "unfollow" if list_ is list_following else "unblock", mine, other)
    second = listed(ports, list_, mine, mine, limit=3, cursor=first.next_cursor)
    assert (ids(second), second.next_cursor) == ([others[3], others[1], others[0]], None)


@each_list
def test_a_page_that_ends_with_the_list_has_no_next_one(ports, person, owner, list_):
    mine, others = owner(list_), [person() for _ in range(4)]
    for other in others:
        edge(ports, list_, mine, other)
    first = listed(ports, list_, mine, mine, limit=2)
    second = listed(ports, list_, mine, mine, limit=2, cursor=first.next_cursor)
    assert (ids(first) + ids(second), second.next_cursor) == (others[::-1], None)


@pytest.mark.parametrize("limit", [0, -1, 101, "20", True, None, 2.5])
@each_list
def test_a_limit_is_from_one_to_a_hundred(ports, owner, list_, limit):
    mine = owner(list_)
    with pytest.raises(InvalidLimit) as refusal:
        listed(ports, list_, mine, mine, limit=limit)
    assert refusal.value.details["errors"][0]["pointer"] == "/limit"


@each_list
def test_a_cursor_that_is_not_of_this_list_is_refused(ports, person, owner, list_):
    mine, other_owner = owner(list_), owner(list_)
    for _ in range(2):
        edge(ports, list_, mine, person())
    cursor = listed(ports, list_, mine, mine, limit=1).next_cursor
    flipped = cursor[:5] + ("A" if cursor[5] != "A" else "B") + cursor[6:]
    for wrong in (flipped, cursor[:-1], cursor + "A", cursor.swapcase(), "", "%", 7, "\x00", "é", str(new_id())):
        with pytest.raises(InvalidCursor):
            listed(ports, list_, mine, mine, cursor=wrong)
    for another in (each for each in LISTS if each is not list_):
        with pytest.raises(InvalidCursor):
            listed(ports, another, mine, mine, cursor=cursor)
    with pytest.raises(InvalidCursor):
        listed(ports, list_, other_owner, other_owner, cursor=cursor)


# --- relationships ---


def test_a_relationship_tells_both_sides(ports, person, ann, bob):
    shy = person(private=True)
    for acting, act, target in (
        (ann, "follow", bob),
        (ann, "mute", bob),
        (bob, "follow", ann),
        (ann, "follow", shy),
    ):
        do(ports, act, acting, target)
    assert relationship(ports, ann, bob) == Relationship(bob, following=True, followed_by=True, muting=True)
    assert relationship(ports, bob, ann) == Relationship(ann, following=True, followed_by=True)
    assert relationship(ports, ann, shy) == Relationship(shy, requested=True)
    assert relationship(ports, shy, ann) == Relationship(ann, requested_by=True)
    do(ports, "block", ann, bob)
    assert relationship(ports, ann, bob) == Relationship(bob, blocking=True)


def relationship(ports, user_id, other_id):
    return get_relationship(ports, user_id=str(user_id), other_id=str(other_id))


def test_there_is_no_relationship_to_who_is_not_there(users_sessions, ports, person, ann, bob):
    do(ports, "block", bob, ann)
    seen = []
    for other in (bob, new_id(), person(disabled=True)):
        with statements(users_sessions) as ran, pytest.raises(UserNotFound) as refusal:
            relationship(ports, ann, other)
        seen.append((refusal.value.message, [each[0] for each in ran]))
    assert seen == [seen[0]] * 3
    with pytest.raises(UserNotFound):
        relationship(ports, ann, "no id")
    with pytest.raises(NotOneself):
        relationship(ports, ann, ann)


def test_a_hundred_relationships_are_one_query_in_the_order_of_the_ids(users_sessions, ports, person, ann, bob):
    blocker, disabled, gone = person(), person(disabled=True), new_id()
    others = [person() for _ in range(20)]
    for other in others[::2]:
        do(ports, "follow", ann, other)
    do(ports, "block", blocker, ann)
    asked = [str(bob), "no id", str(blocker), str(gone), str(disabled), str(ann), str(bob), ""]
    asked += [str(each) for each in others]
    asked += [str(new_id()) for _ in range(100 - len(asked))]
    with statements(users_sessions) as ran:
        found = get_relationships(ports, user_id=str(ann), ids=asked)
    assert len(ran) == 1
    assert len(found) == 100
    assert found[0] == found[6] == Relationship(bob)
    assert found[1:5] == [{"id": each, "not_found": True} for each in asked[1:5]]
    assert found[5] == Relationship(ann)
    assert found[8:28] == [Relationship(other, following=at % 2 == 0) for at, other in enumerate(others)]
    assert found[28:] == [{"id": each, "not_found": True} for each in asked[28:]]


def test_no_more_than_a_hundred_relationships_are_asked_for_at_once(ports, ann):
    assert get_relationships(ports, user_id=str(ann), ids=[]) == []
    with pytest.raises(TooManyIds):
        get_relationships(ports, user_id=str(ann), ids=[str(new_id())] * 101)


# --- counts ---


def test_the_counts_of_a_user_are_shown(ports, person, ann, bob):
    for acting, target in ((ann, bob), (bob, ann), (person(), ann)):
        do(ports, "follow", acting, target)
    seen = get_user(ports, user_id=str(ann))
    assert (seen.followers_count, seen.following_count) == (2, 1)


def test_drift_is_repaired_and_told(users_sessions, ports, person, ann, bob):
    others = [person() for _ in range(5)]
    for other in others:
        do(ports, "follow", other, ann)
    do(ports, "follow", ann, bob)
    exact = counts(users_sessions)
    with users_sessions() as session:
        for user_id, values in ((ann, {"followers": 9}), (bob, {"following": 3})):
            session.execute(sa.update(connection_counts).where(connection_counts.c.user_id == user_id).values(values))
        session.execute(sa.delete(connection_counts).where(connection_counts.c.user_id == others[0]))
        session.commit()
    found = reconcile_counts(ports, batch=2)
    assert found["checked"] == 7
    assert {each["user_id"]: each for each in found["repaired"]} == {
        ann: {"user_id": ann, "followers": 9, "following": 1, "followers_found": 5, "following_found": 1},
        bob: {"user_id": bob, "followers": 1, "following": 3, "followers_found": 1, "following_found": 0},
        others[0]: {"user_id": others[0], "followers": 0, "following": 0, "followers_found": 0, "following_found": 1},
    }
    assert counts(users_sessions) == exact
    assert reconcile_counts(ports) == {"checked": 7, "repaired": []}


def test_an_operator_reconciles_by_command(users_sessions, ports, ann, bob):
    do(ports, "follow", ann, bob)
    with users_sessions() as session:
        session.execute(sa.update(connection_counts).values(followers=8, following=0))
        session.commit()
    uri = users_sessions.engine.url.render_as_string(hide_password=False)
    config = {**DEFAULTS, "DB_URIS": {"users_svc:Base": uri}}
    results = [CliRunner().invoke(commands, ["reconcile-connections"], obj=config) for _ in range(2)]
    first, second = (json.loads(each.output) for each in results)
    assert first["checked"] == second["checked"] == 2
    assert {each["user_id"] for each in first["repaired"]} == {str(ann), str(bob)}
    assert second["repaired"] == []
    assert counts(users_sessions) == {ann: (0, 1), bob: (1, 0)}

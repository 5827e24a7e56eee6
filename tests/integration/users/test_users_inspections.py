"""That an administrator looked at what nobody else sees is in the outbox before they see it, and nothing else is."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from tests.integration.users.connecting import do, events
from users_svc.application.get_user import get_user
from users_svc.application.lookup_users import lookup_users
from users_svc.domain.profile import UserNotFound
from users_svc.infrastructure.tables import profiles


@pytest.fixture
def root(person):
    return person("Root")


@pytest.fixture
def closed(person):
    return person("Closed", disabled=True, handle="Closed_1", handle_key="closedl")


def look(ports, user_id, viewer_id, *, is_admin=True):
    viewer = None if viewer_id is None else str(viewer_id)
    return get_user(ports, user_id=str(user_id), viewer_id=viewer, is_admin=is_admin)


def told(sessions):
    found = [each for each in events(sessions) if each["type"] == "user.profile.inspected"]
    # Each look is numbered by itself, so that nobody's profile changes because somebody looked.
    assert len({(each["subject"], each["sequence"]) for each in found}) == len(found)
    return [(each["data"]["id"], each["data"]["actor_id"]) for each in found]


def test_a_look_at_a_disabled_profile_is_told_each_time(users_sessions, ports, root, closed):
    for _ in range(2):
        assert look(ports, closed, root).fields["display_name"] == "Closed"
    assert told(users_sessions) == [(str(closed), str(root))] * 2
    with users_sessions() as session:
        found = session.execute(sa.select(profiles.c.version, profiles.c.sequence).where(profiles.c.id == closed)).one()
    assert tuple(found) == (1, 0)


def test_a_look_at_somebody_who_blocks_the_administrator_is_told(users_sessions, ports, root, person):
    ann = person("Ann")
    do(ports, "block", ann, root)
    assert look(ports, ann, root).fields["display_name"] == "Ann"
    assert told(users_sessions) == [(str(ann), str(root))]


def test_what_a_stranger_sees_as_well_is_not_told(users_sessions, ports, root, person, closed):
    ann = person("Ann")
    look(ports, ann, root)
    look(ports, ann, closed, is_admin=False)
    # Oneself, though disabled; and a service, which has no account.
    look(ports, closed, closed)
    look(ports, closed, None)
    for viewer, is_admin, whom in ((ann, False, closed), (None, False, closed), (root, True, new_id())):
        with pytest.raises(UserNotFound):
            look(ports, whom, viewer, is_admin=is_admin)
    assert lookup_users(ports, ids=[str(ann)], viewer_id=str(root), is_admin=True)[0]["display_name"] == "Ann"
    lookup_users(ports, ids=[str(closed)], is_admin=True)
    lookup_users(ports, ids=[str(closed)], viewer_id=str(ann))
    assert events(users_sessions) == []


def test_of_a_lookup_each_person_who_is_seen_is_told_once(users_sessions, ports, root, closed, person):
    ann, other = person("Ann"), person("Other", disabled=True)
    hidden = person("Hidden", disabled=True, handle="Hidden", handle_key="hldden", visibility={"handle": "private"})
    found = lookup_users(
        ports,
        ids=[str(each) for each in (closed, ann, other, new_id())],
        handles=["closed_1", "hidden"],
        viewer_id=str(root),
        is_admin=True,
    )
    assert [each.get("id") for each in found if "not_found" not in each] == [
        str(each) if isinstance(each, str) else each for each in (closed, ann, other, closed)
    ]
    assert sorted(told(users_sessions)) == sorted((str(each), str(root)) for each in (closed, other))
    assert hidden not in {each for each, _ in told(users_sessions)}


def test_what_cannot_be_told_is_not_shown(users_sessions, ports, root, closed):
    class OutboxIsFull(Exception):
        pass

    def unit_of_work():
        raise OutboxIsFull

    blind = replace(ports, unit_of_work=unit_of_work)
    with pytest.raises(OutboxIsFull):
        look(blind, closed, root)
    with pytest.raises(OutboxIsFull):
        lookup_users(blind, ids=[str(closed)], viewer_id=str(root), is_admin=True)
    # For everything else nothing has to be written.
    assert look(blind, root, closed).fields["display_name"] == "Root"

from datetime import timedelta
from uuid import uuid4

import pytest

from auth_svc.application.introspect_token import introspect_token
from auth_svc.application.refresh_session import refresh_session
from auth_svc.application.revoke_oauth_client import revoke_oauth_client
from auth_svc.application.revoke_token import revoke_token
from auth_svc.domain.oauth_client import InvalidClient
from auth_svc.domain.session import RefreshInvalid, SessionRevoked
from tests.fakes.auth import POLICY, START
from tests.unit.auth.test_auth_introspect import DEAD, SECRET, World


@pytest.fixture
def world():
    world = World()
    world.store.events.clear()
    world.store.audit.clear()
    return world


def revoke(world, token, **changes):
    credentials = {"client_id": world.client.id, "client_secret": SECRET}
    revoke_token(world.ports, **{**credentials, "token": token, **changes})


def ended(world):
    return world.store.sessions[world.session.id].revoked_reason


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "unheard_of", 7])
def test_with_either_token_the_whole_session_ends(world, kind, hint):
    world.clock.advance(minutes=1)
    revoke(world, getattr(world, kind), token_type_hint=hint)
    session = world.store.sessions[world.session.id]
    assert (session.revoked_reason, session.revoked_at) == ("client", world.clock())
    assert world.events == [
        SessionRevoked(session_id=str(world.session.id), user_id=str(world.account.id), reason="client")
    ]
    for token in (world.access_token, world.refresh_token):
        answer = introspect_token(world.ports, client_id=world.client.id, client_secret=SECRET, token=token)
        assert answer == DEAD
    with pytest.raises(RefreshInvalid):
        refresh_session(world.ports, refresh_token=world.refresh_token)


def test_it_is_written_down_who_did_it(world):
    revoke(world, world.refresh_token)
    (entry,) = world.store.audit
    assert (entry.kind, entry.outcome) == ("session.ended", "success")
    assert (entry.account_id, entry.session_id) == (world.account.id, world.session.id)
    assert entry.details == {"reason": "client", "client_id": world.client.id}


def test_a_second_time_has_no_effect_and_is_no_error(world):
    revoke(world, world.access_token)
    world.clock.advance(hours=1)
    for token in (world.access_token, world.refresh_token):
        revoke(world, token)
    assert len(world.events) == len(world.store.audit) == 1
    assert world.store.sessions[world.session.id].revoked_at == START


def test_an_older_refresh_token_of_the_session_ends_it_too(world):
    second = refresh_session(world.ports, refresh_token=world.refresh_token).refresh_token
    refresh_session(world.ports, refresh_token=second)
    revoke(world, world.refresh_token)
    assert ended(world) == "client"


def test_the_newest_refresh_token_ends_its_session_also_when_the_server_key_has_gone(world):
    world.refresh_tokens.keys[:] = ["another"]
    revoke(world, world.refresh_token)
    assert ended(world) == "client"


def test_a_session_that_is_over_is_left_alone(world):
    for changes in ({"expires_at": START}, {"last_used_at": START - POLICY.idle - timedelta(seconds=1)}):
        world.change(**changes)
        revoke(world, world.refresh_token)
        assert ended(world) is None
        world.change(expires_at=START + POLICY.lifetime, last_used_at=START)
    assert world.events == []
    revoke(world, world.refresh_token)
    assert ended(world) == "client"


@pytest.mark.parametrize("token", ["", "x" * 100_000, f"{uuid4()}/s/s", "access/x", "a.b.c", "\0", None, 7, {}])
def test_what_is_no_token_of_ours_is_no_error_and_has_no_effect(world, token):
    revoke(world, token)
    assert ended(world) is None
    assert world.events == world.store.audit == []


def test_the_id_of_a_session_with_a_made_up_secret_ends_nothing(world):
    revoke(world, f"{world.session.id}/made-up/seal")
    assert ended(world) is None


def test_an_access_token_of_a_session_that_is_gone_has_no_effect(world):
    world.store.sessions.clear()
    revoke(world, world.access_token)
    assert world.events == world.store.audit == []


@pytest.mark.parametrize("credentials", [{"client_secret": "lcs_wrong"}, {"client_id": "lcl_" + "0" * 32}])
def test_nobody_else_ends_anything(world, credentials):
    with pytest.raises(InvalidClient):
        revoke(world, world.refresh_token, **credentials)
    assert ended(world) is None


def test_a_revoked_client_ends_nothing(world):
    revoke_oauth_client(world.ports, client_id=world.client.id)
    with pytest.raises(InvalidClient):
        revoke(world, world.refresh_token)
    assert ended(world) is None

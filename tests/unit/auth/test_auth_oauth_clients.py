import hashlib

import pytest

from auth_svc.application.authenticate_client import authenticate_client
from auth_svc.application.create_oauth_client import create_oauth_client
from auth_svc.application.list_oauth_clients import list_oauth_clients
from auth_svc.application.revoke_oauth_client import revoke_oauth_client
from auth_svc.domain import oauth_client
from auth_svc.domain.oauth_client import (
    ClientNotFound,
    InvalidClient,
    InvalidClientName,
    OAuthClient,
    authenticated,
)
from lib.ids import new_id
from tests.fakes.auth import START, AuthWorld

SECRET = "lcs_" + "s" * 43
OTHER = "lcs_" + "o" * 43


@pytest.fixture
def world():
    return AuthWorld()


def create(world, name="Billing", secret=SECRET):
    return create_oauth_client(world.ports, name=name, secret=secret)


def test_a_client_is_kept_with_the_hash_of_its_secret_only(world):
    client = create(world)
    assert client.id.startswith("lcl_")
    stored = world.store.oauth_clients[client.id]
    assert (stored.name, stored.created_at, stored.revoked_at) == ("Billing", START, None)
    assert stored.secret_hash == hashlib.sha256(SECRET.encode()).digest()
    assert SECRET not in repr(stored)
    assert repr(stored.secret_hash) not in repr(stored)
    (entry,) = world.store.audit
    assert (entry.kind, entry.account_id) == ("oauth_client.created", None)
    assert entry.details == {"client_id": client.id, "name": "Billing"}


def test_two_clients_may_have_one_name_and_are_told_apart_by_their_ids(world):
    first = create(world)
    world.clock.advance(seconds=1)
    second = create(world, secret=OTHER)
    assert [each.id for each in list_oauth_clients(world.ports)] == [first.id, second.id]
    assert authenticate_client(world.ports, client_id=second.id, client_secret=OTHER).id == second.id
    with pytest.raises(InvalidClient):
        authenticate_client(world.ports, client_id=first.id, client_secret=OTHER)


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "x" * 10_000, "two\nlines", "nul\0", "\ud800", None, 7, ["x"]])
def test_a_name_that_nobody_could_read_is_refused(world, name):
    with pytest.raises(InvalidClientName) as refusal:
        create(world, name=name)
    assert refusal.value.code == "invalid_client_name"
    assert not world.store.oauth_clients


def test_a_name_is_kept_composed_and_without_spaces_around_it(world):
    assert create(world, name="  Café ").name == "Café"
    assert create(world, name="x" * 100).name == "x" * 100


@pytest.mark.parametrize("secret", ["", "s" * 43, "lcs_short", SECRET + "s", SECRET + "\n", "lcs_" + "!" * 43])
def test_a_secret_that_is_no_32_bytes_is_no_secret(world, secret):
    with pytest.raises(ValueError, match="32 random bytes"):
        create(world, secret=secret)


def test_a_client_shows_who_it_is_by_id_and_secret(world):
    client = create(world)
    assert authenticate_client(world.ports, client_id=client.id, client_secret=SECRET).id == client.id


BAD_SECRETS = ["", OTHER, SECRET[:-1], SECRET + "s", SECRET.upper(), "\ud800", "ü", None, 7, {"a": 1}, [SECRET]]


@pytest.mark.parametrize("secret", BAD_SECRETS)
def test_a_wrong_secret_is_refused(world, secret):
    client = create(world)
    with pytest.raises(InvalidClient):
        authenticate_client(world.ports, client_id=client.id, client_secret=secret)


@pytest.mark.parametrize("client_id", ["", "lcl_" + "0" * 32, "lcl_\0", "x" * 100_000, "\ud800", None, 7, {}, ["lcl_"]])
def test_an_unknown_client_is_refused_like_a_wrong_secret(world, client_id):
    known = create(world)
    with pytest.raises(InvalidClient) as refusal:
        authenticate_client(world.ports, client_id=client_id, client_secret=SECRET)
    with pytest.raises(InvalidClient) as wrong:
        authenticate_client(world.ports, client_id=known.id, client_secret=OTHER)
    assert (refusal.value.code, refusal.value.message) == (wrong.value.code, wrong.value.message)
    assert refusal.value.code == "invalid_client"


class Compared(list):
    """Compares as the standard library does, and remembers what."""

    def compare_digest(self, one, other):
        self.append((one, other))
        return one == other


def test_for_an_unknown_client_the_same_work_is_done(monkeypatch):
    """One hash and one comparison of equal length, in constant time, for every kind of client."""
    compared = Compared()
    monkeypatch.setattr(oauth_client, "hmac", compared)
    client = OAuthClient.register(id=new_id(), name="Billing", secret=SECRET, now=START)
    revoked = OAuthClient.register(id=new_id(), name="Billing", secret=SECRET, now=START)
    revoked.revoke(START)
    authenticated(client, SECRET)
    for who, secret in [(None, SECRET), (None, None), (revoked, SECRET), (client, OTHER)]:
        with pytest.raises(InvalidClient):
            authenticated(who, secret)
    assert len(compared) == 5
    assert {(len(one), len(other)) for one, other in compared} == {(32, 32)}


def test_no_secret_has_the_hash_that_nobody_has():
    with pytest.raises(InvalidClient):
        authenticated(None, "")
    assert hashlib.sha256(b"").digest() != oauth_client.NOBODYS_HASH


def test_a_revoked_client_is_refused_from_the_next_request_on(world):
    client = create(world)
    authenticate_client(world.ports, client_id=client.id, client_secret=SECRET)
    world.clock.advance(days=1)
    revoked = revoke_oauth_client(world.ports, client_id=client.id)
    assert revoked.revoked_at == world.clock()
    with pytest.raises(InvalidClient):
        authenticate_client(world.ports, client_id=client.id, client_secret=SECRET)
    (listed,) = list_oauth_clients(world.ports)
    assert listed.revoked_at == world.clock()
    entry = world.store.audit[-1]
    assert (entry.kind, entry.details) == ("oauth_client.revoked", {"client_id": client.id})


def test_a_client_is_revoked_once(world):
    client = create(world)
    first = revoke_oauth_client(world.ports, client_id=client.id).revoked_at
    world.clock.advance(days=1)
    assert revoke_oauth_client(world.ports, client_id=client.id).revoked_at == first
    assert [each.kind for each in world.store.audit] == ["oauth_client.created", "oauth_client.revoked"]


@pytest.mark.parametrize("client_id", ["", "lcl_" + "0" * 32, "lcl_\0", None])
def test_a_client_that_is_not_there_cannot_be_revoked(world, client_id):
    create(world)
    with pytest.raises(ClientNotFound) as refusal:
        revoke_oauth_client(world.ports, client_id=client_id)
    assert refusal.value.code == "client_not_found"

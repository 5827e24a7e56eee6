from datetime import timedelta

import pytest

from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.application.list_signing_keys import list_signing_keys
from auth_svc.application.reseal_signing_keys import reseal_signing_keys
from auth_svc.application.rotate_signing_keys import rotate_signing_keys
from auth_svc.application.withdraw_signing_key import withdraw_signing_key
from auth_svc.domain.signing_key import (
    MARGIN,
    PUBLISHED_AHEAD,
    SETTLED,
    KeyTooNew,
    SealedKeyError,
    SigningKeyNotFound,
)
from tests.fakes.auth import AuthWorld, FakeKeyMaker


class SealingKeyMaker(FakeKeyMaker):
    """Private halves are ``<key's name>@<SECRET_KEY>``."""

    def __init__(self, secret="old", opens=("old",)):
        super().__init__()
        self.secret, self.opens = secret, opens

    def make(self, now):
        key = super().make(now)
        key.sealed_private = f"{key.kid}@{self.secret}".encode()
        return key

    def reseal(self, sealed_private):
        private, _, secret = sealed_private.decode().partition("@")
        if secret not in self.opens:
            raise SealedKeyError
        return f"{private}@{self.secret}".encode()


@pytest.fixture
def world():
    world = AuthWorld(key_maker=SealingKeyMaker())
    ensure_signing_key(world.ports)
    world.store.audit.clear()
    return world


def states(keys):
    return {key.kid: key.state for key in keys}


def stored(world):
    return states(world.store.signing_keys.values())


def test_the_next_key_signs_the_old_one_stays_published_and_there_is_a_new_next_one(world):
    world.clock.advance(seconds=PUBLISHED_AHEAD.total_seconds())
    published = rotate_signing_keys(world.ports)
    expected = {"key-1": "retiring", "key-2": "active", "key-3": "next"}
    assert states(published) == expected
    assert stored(world) == expected
    assert world.store.signing_keys["key-1"].retired_at == world.clock()
    assert world.store.signing_keys["key-1"].sealed_private == b""
    assert world.tokens.forgotten == 1


def test_a_rotation_is_written_down(world):
    world.clock.advance(hours=1)
    rotate_signing_keys(world.ports)
    (entry,) = world.store.audit
    assert (entry.kind, entry.account_id, entry.outcome) == ("signing_key.rotated", None, "success")
    assert entry.details == {"kid": "key-2", "retired": "key-1", "next": "key-3", "removed": [], "at_once": False}


@pytest.mark.parametrize("at_once, least", [(False, PUBLISHED_AHEAD), (True, SETTLED)])
def test_a_next_key_that_is_too_new_changes_nothing(world, at_once, least):
    before = stored(world)
    world.clock.moment += least - timedelta(seconds=2)
    with pytest.raises(KeyTooNew) as refusal:
        rotate_signing_keys(world.ports, at_once=at_once)
    assert refusal.value.details == {"retry_after": 2}
    assert stored(world) == before
    assert world.store.audit == []
    world.clock.advance(seconds=2)
    assert rotate_signing_keys(world.ports, at_once=at_once)
    assert world.store.audit[0].details["at_once"] is at_once


def test_a_rotation_that_follows_at_once_is_refused(world):
    world.clock.advance(hours=1)
    rotate_signing_keys(world.ports)
    with pytest.raises(KeyTooNew):
        rotate_signing_keys(world.ports)
    assert stored(world) == {"key-1": "retiring", "key-2": "active", "key-3": "next"}


def test_keys_that_nobody_needs_any_more_go_with_the_next_rotation(world):
    world.clock.advance(hours=1)
    rotate_signing_keys(world.ports)
    world.clock.moment += world.ports.rules.access_token_lifetime + MARGIN - timedelta(seconds=1)
    rotate_signing_keys(world.ports)
    assert stored(world) == {"key-1": "retiring", "key-2": "retiring", "key-3": "active", "key-4": "next"}
    world.clock.advance(hours=1)
    assert set(states(list_signing_keys(world.ports))) == {"key-1", "key-2", "key-3", "key-4"}
    published = rotate_signing_keys(world.ports)
    expected = {"key-3": "retiring", "key-4": "active", "key-5": "next"}
    assert states(published) == expected
    assert stored(world) == expected
    assert world.store.audit[-1].details["removed"] == ["key-1", "key-2"]


def test_a_database_without_keys_gets_some_and_the_rotation_has_to_wait():
    world = AuthWorld()
    with pytest.raises(KeyTooNew):
        rotate_signing_keys(world.ports, at_once=True)
    assert stored(world) == {"key-1": "active", "key-2": "next"}


def test_a_withdrawn_active_key_goes_at_once_and_the_next_one_signs(world):
    published = withdraw_signing_key(world.ports, kid="key-1")
    assert list(stored(world).values()) == ["active", "next"]
    assert states(published) == stored(world)
    assert stored(world)["key-2"] == "active"
    assert "key-1" not in stored(world)
    (entry,) = world.store.audit
    assert (entry.kind, entry.account_id) == ("signing_key.withdrawn", None)
    assert entry.details == {"kid": "key-1", "state": "active"}
    assert world.tokens.forgotten == 1


def test_a_withdrawn_next_key_is_replaced(world):
    withdraw_signing_key(world.ports, kid="key-2")
    assert stored(world) == {"key-1": "active", "key-3": "next"}


def test_a_withdrawn_retiring_key_just_goes(world):
    world.clock.advance(hours=1)
    rotate_signing_keys(world.ports)
    withdraw_signing_key(world.ports, kid="key-1")
    assert stored(world) == {"key-2": "active", "key-3": "next"}


@pytest.mark.parametrize("kid", ["", "key-9", "key-1 ", None, "\0"])
def test_a_key_that_is_not_there_cannot_be_withdrawn(world, kid):
    before = stored(world)
    with pytest.raises(SigningKeyNotFound) as refusal:
        withdraw_signing_key(world.ports, kid=kid)
    assert refusal.value.code == "signing_key_not_found"
    assert stored(world) == before
    assert world.store.audit == []


def test_private_halves_are_sealed_anew_with_the_newest_secret_key(world):
    world.clock.advance(hours=1)
    rotate_signing_keys(world.ports)
    world.key_maker.secret, world.key_maker.opens = "new", ("new", "old")
    resealed = reseal_signing_keys(world.ports)
    assert [key.kid for key in resealed] == ["key-2", "key-3"]
    sealed = {kid: key.sealed_private for kid, key in world.store.signing_keys.items()}
    assert sealed == {"key-1": b"", "key-2": b"key-2@new", "key-3": b"key-3@new"}
    assert (world.store.audit[-1].kind, world.store.audit[-1].details) == (
        "signing_key.resealed",
        {"kids": ["key-2", "key-3"]},
    )


def test_if_one_private_half_cannot_be_opened_all_stay_as_they_are(world):
    world.key_maker.secret, world.key_maker.opens = "new", ("new",)
    world.store.signing_keys["key-1"].sealed_private = b"key-1@new"
    with pytest.raises(SealedKeyError):
        reseal_signing_keys(world.ports)
    assert world.store.signing_keys["key-2"].sealed_private == b"key-2@old"
    assert world.store.audit == []

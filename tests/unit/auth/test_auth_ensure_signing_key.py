from datetime import timedelta

from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.domain.signing_key import MARGIN
from tests.fakes.auth import START, AuthWorld, FakeKeyMaker


def states(keys):
    return sorted((key.state, key.kid) for key in keys)


def test_the_first_start_makes_a_key_and_the_next_one_and_later_starts_use_them():
    world = AuthWorld()
    made = ensure_signing_key(world.ports)
    assert states(made) == [("active", "key-1"), ("next", "key-2")]
    assert states(world.store.signing_keys.values()) == states(made)
    assert states(ensure_signing_key(world.ports)) == states(made)
    assert world.key_maker.made == 2


def test_what_is_made_is_written_down():
    world = AuthWorld()
    ensure_signing_key(world.ports)
    assert [(each.kind, each.account_id, each.details) for each in world.store.audit] == [
        ("signing_key.created", None, {"kid": "key-1", "state": "active"}),
        ("signing_key.created", None, {"kid": "key-2", "state": "next"}),
    ]


def test_only_what_is_missing_is_made():
    for missing in ("active", "next"):
        world = AuthWorld()
        ensure_signing_key(world.ports)
        kept = {kid: key for kid, key in world.store.signing_keys.items() if key.state != missing}
        world.store.signing_keys = kept
        keys = ensure_signing_key(world.ports)
        assert sorted(key.state for key in keys) == ["active", "next"]
        assert {key.kid for key in keys} == {*kept, "key-3"}


def test_of_two_instances_that_start_together_both_use_the_winners_keys():
    world = AuthWorld()

    class OtherKeyMaker(FakeKeyMaker):
        def make(self, now):
            key = super().make(now)
            key.kid = f"other-{self.made}"
            return key

    other = AuthWorld(store=world.store, key_maker=OtherKeyMaker())
    world.store.meanwhile.append(lambda: ensure_signing_key(other.ports))
    assert states(ensure_signing_key(world.ports)) == [("active", "other-1"), ("next", "other-2")]
    assert sorted(world.store.signing_keys) == ["other-1", "other-2"]
    assert [each.details["kid"] for each in world.store.audit] == ["other-1", "other-2"]


def test_a_retired_key_stays_published_as_long_as_a_token_of_it_may_be_valid():
    world = AuthWorld()
    ensure_signing_key(world.ports)
    world.store.signing_keys["key-1"].retire(START)
    world.clock.moment = START + world.ports.rules.access_token_lifetime + MARGIN - timedelta(seconds=1)
    assert states(ensure_signing_key(world.ports)) == [("active", "key-3"), ("next", "key-2"), ("retiring", "key-1")]
    world.clock.advance(seconds=1)
    assert states(ensure_signing_key(world.ports)) == [("active", "key-3"), ("next", "key-2")]

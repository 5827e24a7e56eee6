from auth_svc.application.ensure_signing_key import ensure_signing_key
from tests.fakes.auth import AuthWorld, FakeKeyMaker


def test_the_first_start_makes_a_key_and_the_next_ones_use_it():
    world = AuthWorld()
    (made,) = ensure_signing_key(world.ports)
    assert made.state == "active"
    assert world.store.signing_keys == {made.kid: made}
    assert ensure_signing_key(world.ports) == [made]
    assert world.key_maker.made == 1


def test_of_two_instances_that_start_together_both_use_the_winners_key():
    world = AuthWorld()

    class OtherKeyMaker(FakeKeyMaker):
        def make(self, now):
            key = super().make(now)
            key.kid = "other"
            return key

    other = AuthWorld(store=world.store, key_maker=OtherKeyMaker())
    world.store.meanwhile.append(lambda: ensure_signing_key(other.ports))
    assert [key.kid for key in ensure_signing_key(world.ports)] == ["other"]
    assert list(world.store.signing_keys) == ["other"]


def test_keys_that_only_verify_stay_published_beside_the_new_one():
    world = AuthWorld()
    (old,) = ensure_signing_key(world.ports)
    old.state = "retiring"
    world.clock.advance(days=1)
    keys = ensure_signing_key(world.ports)
    assert [key.state for key in keys] == ["retiring", "active"]
    assert keys == ensure_signing_key(world.ports)

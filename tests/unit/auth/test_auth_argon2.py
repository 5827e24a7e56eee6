import pytest
from argon2 import PasswordHasher

from auth_svc.infrastructure.argon2 import Argon2Hasher


class Offload:
    """Counts what was handed over."""

    def __init__(self):
        self.jobs = 0

    def __call__(self, function, *arguments):
        self.jobs += 1
        return function(*arguments)


@pytest.fixture
def offload():
    return Offload()


def small(offload, passes=1):
    """Make a hasher that is fast enough for a test."""
    return Argon2Hasher(offload, memory=64, passes=passes)


def test_a_hash_is_argon2id_with_the_agreed_parameters(offload):
    hashed = Argon2Hasher(offload).hash("SecurePass123!")
    _, kind, version, parameters, salt, digest = hashed.split("$")
    assert (kind, version, parameters) == ("argon2id", "v=19", "m=19456,t=2,p=1")
    assert (len(salt), len(digest)) == (22, 43)
    assert Argon2Hasher(offload).verify(hashed, "SecurePass123!")
    assert not Argon2Hasher(offload).is_outdated(hashed)


def test_the_right_password_and_no_other_matches(offload):
    hasher = small(offload)
    hashed = hasher.hash("größte Übung")
    assert hashed != hasher.hash("größte Übung")
    assert hasher.verify(hashed, "größte Übung")
    assert not hasher.verify(hashed, "größte übung")
    assert not hasher.verify(hashed, "größte Übung ")
    assert not hasher.verify(hashed, "")


def test_every_character_of_a_long_password_counts(offload):
    hasher = small(offload)
    hashed = hasher.hash("x" * 127 + "a")
    assert not hasher.verify(hashed, "x" * 127 + "b")


def test_without_a_hash_the_same_work_is_done_and_nothing_matches(offload):
    hasher = small(offload)
    assert not hasher.verify(None, "anything")
    assert not hasher.verify(None, "")
    assert offload.jobs == 2


def test_the_work_for_nobody_follows_the_parameters(offload):
    class Watched(Offload):
        def __call__(self, function, hasher, password_hash, password):
            self.checked = password_hash
            # The hash must be one that Argon2 really computes, or no time is spent on it.
            with pytest.raises(Exception, match="does not match"):
                hasher.verify(password_hash, password)

    watched = Watched()
    Argon2Hasher(watched, memory=128, passes=3, lanes=2).verify(None, "anything")
    assert watched.checked.startswith("$argon2id$v=19$m=128,t=3,p=2$")


def test_other_parameters_make_a_hash_outdated(offload):
    old = small(offload, passes=1).hash("SecurePass123!")
    assert small(offload, passes=2).is_outdated(old)
    assert small(offload, passes=2).verify(old, "SecurePass123!")


@pytest.mark.parametrize("lengths", [{"hash_len": 16}, {"salt_len": 8}])
def test_other_lengths_make_a_hash_outdated(offload, lengths):
    old = PasswordHasher(**{"time_cost": 1, "memory_cost": 64, "parallelism": 1, **lengths}).hash("SecurePass123!")
    hasher = small(offload)
    assert hasher.is_outdated(old)
    assert not hasher.is_outdated(hasher.hash("SecurePass123!"))
    assert hasher.verify(old, "SecurePass123!")


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$broken", "$2b$12$abcdefghijklmnopqrstuv"])
def test_a_hash_that_cannot_be_read_matches_nothing(offload, stored):
    assert not small(offload).verify(stored, "plain")


def test_all_slow_work_is_handed_over(offload):
    hasher = small(offload)
    hasher.verify(hasher.hash("SecurePass123!"), "SecurePass123!")
    assert offload.jobs == 2

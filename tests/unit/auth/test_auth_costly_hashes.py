"""A stored hash says itself what it costs to check; what costs too much is not checked."""

import time

import pytest

from auth_svc.infrastructure.argon2 import COSTLIEST, Argon2Hasher

PASSWORD = "SecurePass123!"
REST = "$YWFhYWFhYWFhYWFhYWFhYQ$YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE"


class Watched:
    """Notes which hash is looked at, and looks at it."""

    def __call__(self, function, *arguments):
        self.checked = arguments[1] if len(arguments) > 1 else None
        return function(*arguments)


@pytest.fixture
def watched():
    return Watched()


@pytest.mark.parametrize(
    "parameters",
    ["m=262145,t=1,p=1", "m=64,t=11,p=1", "m=256,t=1,p=17", "m=4294967295,t=4294967295,p=16777215"],
)
def test_a_hash_that_costs_too_much_is_nobodys(watched, parameters):
    hasher = Argon2Hasher(watched, memory=64, passes=1)
    hasher.verify(None, PASSWORD)
    nobodys = watched.checked
    began = time.monotonic()
    assert not hasher.verify(f"$argon2id$v=19${parameters}{REST}", PASSWORD)
    assert time.monotonic() - began < 1
    # Some hash is looked at all the same: the time tells nothing.
    assert watched.checked == nobodys


def test_a_hash_that_costs_as_much_as_it_may_is_checked_and_renewed(watched):
    memory, passes, _ = COSTLIEST
    made = Argon2Hasher(watched, memory=memory // 64, passes=passes).hash(PASSWORD)
    hasher = Argon2Hasher(watched, memory=64, passes=1)
    assert hasher.verify(made, PASSWORD)
    assert watched.checked == made
    assert hasher.is_outdated(made)


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$broken", "$2b$12$abcdefghijklmnopqrstuv"])
def test_a_hash_that_cannot_be_read_costs_as_much_as_nobodys(watched, stored):
    hasher = Argon2Hasher(watched, memory=64, passes=1)
    assert not hasher.verify(stored, PASSWORD)
    assert watched.checked.startswith("$argon2id$v=19$m=64,t=1,p=1$")

"""Keys for single purposes out of SECRET_KEY."""

import pytest

from lib.secret_key import derived_keys


def test_each_secret_gives_a_key_the_newest_first():
    (new,), (old,) = derived_keys("new", "seals"), derived_keys("old", "seals")
    assert list(derived_keys(" new , old,", "seals")) == [new, old]
    assert len({new, old}) == 2
    assert {len(new), len(old)} == {32}


def test_each_purpose_has_keys_of_its_own():
    assert derived_keys("a-key", "seals") != derived_keys("a-key", "tokens")
    assert derived_keys("a-key", "seals") == derived_keys("a-key", "seals")


@pytest.mark.parametrize("nothing", ["", " ", ",", " , "])
def test_no_secret_is_no_key(nothing):
    with pytest.raises(ValueError, match="SECRET_KEY"):
        derived_keys(nothing, "seals")

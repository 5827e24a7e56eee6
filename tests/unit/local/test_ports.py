"""Choosing ports."""

import pytest

from deploy.local import ports


def test_the_wanted_port_if_it_is_free():
    assert ports.choose([5432, 6543], is_free=lambda port: True) == 5432


def test_the_next_wanted_port_if_the_first_is_taken():
    assert ports.choose([5432, 6543], is_free=lambda port: port != 5432) == 6543


def test_any_free_port_if_the_wanted_ones_are_taken():
    asked = []

    def is_free(port):
        asked.append(port)
        return len(asked) > 3

    chosen = ports.choose([5432], is_free=is_free)

    assert chosen == asked[-1]
    assert len(asked) == 4
    assert chosen in ports.RANGE


def test_a_port_is_handed_out_once_before_anybody_listens_on_it():
    chosen = [ports.choose([], is_free=lambda port: True) for _ in range(200)]

    assert len(set(chosen)) == len(chosen)


def test_no_port_at_all_is_an_error_and_no_endless_search():
    with pytest.raises(RuntimeError, match="no free port"):
        ports.choose([5432], is_free=lambda port: False, tries=5)

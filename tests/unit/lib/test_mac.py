"""Message authentication codes: the same as everybody else's."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from lib.mac import Mac


@given(st.binary(max_size=200), st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_each_message_gets_the_code_that_it_gets_alone(key, messages):
    mac = Mac(key)
    assert [mac.digest(each) for each in messages] == [hmac.digest(key, each, "sha256") for each in messages]


def test_known_answer():
    """RFC 4231, test case 2."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert Mac(b"Jefe").digest(b"what do ya want for nothing?").hex() == expected

"""A chain's head as text, as it stands in a log and comes back from an operator."""

import pytest

from lib.chain import Head

DIGITS = "0123456789abcdef" * 4


def test_a_head_is_written_and_read() -> None:
    head = Head(42, bytes(range(32)))
    assert str(head) == "42:" + "".join(f"{each:02x}" for each in range(32))
    assert Head.parse(f" {head}\n") == head


@pytest.mark.parametrize(
    "text", ["", "42", "42:", ":" + DIGITS, "0:" + DIGITS, "-1:" + DIGITS, "42:" + DIGITS[2:], "x:y", "42:zz"]
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a head like"):
        Head.parse(text)

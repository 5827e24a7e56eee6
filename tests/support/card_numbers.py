"""Card numbers to send where none may be, made by the book: any issuer, any length, any spelling."""

from __future__ import annotations

from hypothesis import strategies as st

VISA = "4242424242424242"
ISSUED = [*(str(each) for each in range(3, 7)), *(str(each) for each in range(22, 28))]

#: what may stand around a number without being a part of it
_BEFORE = [
    "",
    " ",
    "(",
    ":",
    "=",
    "+",
    "tel:+",
    '"',
    "_",
    "/",
    ".",
    ",",
    "card ",
    "my card is ",
    "Ölkanne: ",
    "no. 7 ",
    "- ",
    "\n",
    "é ",
]
_AFTER = ["", " ", ")", ";", "_", "/", ".", ",", " please", "\n", "-", " -", " – thanks", "!", '"']


def luhn_digit(digits: str) -> str:
    """Return the digit that makes it pass the Luhn check."""
    total = sum(sum(divmod(int(digit) * (2 - at % 2), 10)) for at, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def complete(digits: str) -> str:
    return digits + luhn_digit(digits)


def is_complete(digits: str) -> bool:
    """Tell whether it passes the Luhn check."""
    return complete(digits[:-1]) == digits


@st.composite
def plain(draw: st.DrawFn) -> str:
    """Only the digits, in ASCII."""
    issuer = draw(st.sampled_from(ISSUED))
    length = draw(st.integers(13, 19)) - len(issuer) - 1
    return complete(issuer + draw(st.text("0123456789", min_size=length, max_size=length)))


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """With single spaces and dashes, and in any script."""
    digits = draw(plain())
    gaps = draw(st.lists(st.sampled_from(["", "", "", " ", "-"]), min_size=len(digits) - 1, max_size=len(digits) - 1))
    grouped = "".join(f"{digit}{gap}" for digit, gap in zip(digits, [*gaps, ""], strict=True))
    zero = ord(draw(st.sampled_from(["0", "0", "0", "\u0660", "\u0966", "\uff10"])))
    return grouped.translate({ord("0") + at: zero + at for at in range(10)})


@st.composite
def in_text(draw: st.DrawFn) -> str:
    """Within whatever people write around it."""
    return f"{draw(st.sampled_from(_BEFORE))}{draw(spelled())}{draw(st.sampled_from(_AFTER))}"

"""Card numbers, which are refused.

They go to the provider's own form and never through us: a system that has seen one falls under rules that this one is
not built for. So a text that holds one is refused, and no answer or log repeats it.
"""

from __future__ import annotations

from lib.card_numbers import holds_card_number
from payments_svc.domain.arguments import BadArgument


class CardNumberRefused(BadArgument):
    code = "card_number_refused"


def refuse_card_number(text: str, pointer: str) -> None:
    """Raise `CardNumberRefused`, which does not repeat the text, if it holds a card number."""
    if holds_card_number(text):
        raise CardNumberRefused("card numbers are not accepted here; send a token of the provider", pointer)

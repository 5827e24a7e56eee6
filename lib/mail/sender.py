"""Who mails come from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

LONGEST_ADDRESS = 254
SENDER = re.compile(r"(?P<name>[^<>]*)<(?P<inner>[^<>]*)>|(?P<bare>[^<>]*)")
_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
_LABEL = r"(?!-)[a-zA-Z0-9-]{1,63}(?<!-)"
_ADDRESS = re.compile(rf"(?=.{{1,64}}@){_ATOM}(\.{_ATOM})*@({_LABEL}\.)+(?!\d+$){_LABEL}", re.ASCII)


@dataclass(frozen=True)
class Sender:
    """Who mails come from.

    :param name: may be empty
    :param address: ASCII, because not every server on the way takes another
    """

    name: str
    address: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``Leveret <mail@example.com>`` or an address alone; raises ValueError."""
        match = SENDER.fullmatch(text.strip())
        if match is None or not text.isprintable():
            raise ValueError("expected one address, like Leveret <mail@example.com>")
        name = (match["name"] or "").strip()
        if len(name) > 1 and name[0] == name[-1] == '"':
            name = name[1:-1].strip()
        address = (match["inner"] if match["bare"] is None else match["bare"]).strip()
        if not address.isascii():
            raise ValueError(
                "the address needs to be ASCII; a domain of other letters has a form that begins with xn--"
            )
        if len(address) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
            raise ValueError("expected one address, like Leveret <mail@example.com>")
        return cls(name, address)

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def is_plain(address: str) -> bool:
    """True for an address that is read as it is written, by whatever program: plain words with dots between them.

    Another one may be as good; that takes a parser to say.
    """
    return len(address) <= LONGEST_ADDRESS and "=?" not in address and _ADDRESS.fullmatch(address) is not None

"""Where a request comes from, as far as that can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from gateway.settings import Network

Address = IPv4Address | IPv6Address

MOST_HOPS = 20
#: addresses whose text has been read already
MOST_REMEMBERED = 4096
#: characters; an address with brackets and a port is shorter
LONGEST = 64


def _parse(text: str) -> Address | None:
    text = text.strip()
    # Before anything is remembered: a client may send as many long texts as it likes.
    return _remembered(text) if len(text) <= LONGEST else None


@lru_cache(MOST_REMEMBERED)
def _remembered(text: str) -> Address | None:
    if text.startswith("[") and "]" in text:
        text = text[1 : text.index("]")]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def client_address(environ: Mapping[str, Any], trusted: Sequence[Network]) -> Address | None:
    """Return the client's address.

    ``X-Forwarded-For`` is read from its end, hop by hop, only as long as the hop that wrote it is a trusted proxy;
    what a client puts there itself is never reached.
    """
    address = _parse(environ.get("REMOTE_ADDR", ""))
    hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")[-MOST_HOPS:] if trusted else []
    while hops and address is not None and any(address in network for network in trusted):
        hop = _parse(hops.pop())
        if hop is None:
            break
        address = hop
    return address


def limiting_key(address: Address | None) -> str:
    """Return what rate limits count by: an IPv6 customer has a whole /64 to choose addresses from."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    # Whoever comes from nowhere, as over a Unix socket, is one client.
    return str(address) if address is not None else "unknown"

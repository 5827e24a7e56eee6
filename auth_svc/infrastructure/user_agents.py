"""What a client calls itself, in words for a person."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

UNKNOWN = "unknown"
#: of the text, how much is looked at: it comes from outside, and a thousand patterns are tried on it
LONGEST = 256

_parser: Any = None


@lru_cache(maxsize=2000)
def device_of(user_agent: str | None) -> str:
    """Return a short text like ``Firefox on Linux``, ``curl`` or ``unknown``."""
    if not user_agent:
        return UNKNOWN
    domains, parse = _load()
    found = parse(user_agent[:LONGEST], domains)
    # A list may hold a hundred different ones: let other calls have a turn between them.
    time.sleep(0)
    client, system = (each.family if each else None for each in (found.user_agent, found.os))
    if client and system:
        return f"{client} on {system}"
    return client or system or UNKNOWN


def _load() -> Any:
    """Return what to look for and the parser; made when first needed, for it takes 7 MiB and some time."""
    global _parser  # noqa: PLW0603
    if _parser is None:
        import ua_parser  # noqa: PLC0415

        time.sleep(0)
        # Its patterns are compiled one by one, when they are tried; those for devices never are.
        parser = ua_parser.BasicResolver(ua_parser.load_lazy_builtins())
        _parser = (ua_parser.Domain.USER_AGENT | ua_parser.Domain.OS, parser)
    return _parser

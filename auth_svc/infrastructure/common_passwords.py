"""The offline list of passwords that everybody tries first (source and licence: `data/README.md`)."""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources


@cache
def common_passwords() -> frozenset[str]:
    """Return the list; read once in each process, about 1.5 MB."""
    packed = resources.files(__package__).joinpath("data", "common-passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().splitlines())

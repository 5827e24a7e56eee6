"""Ids as they arrive from other processes: as text."""

from __future__ import annotations

from uuid import UUID

from lib.errors import DomainError


def parse_id(text: object, otherwise: DomainError) -> UUID:
    """Return the id that `text` spells; raise `otherwise` if it spells none."""
    try:
        return UUID(str(text))
    except ValueError:
        raise otherwise from None

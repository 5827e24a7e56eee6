"""The staff looks whether somebody has tampered with the books, in steps that are short enough for a request."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from uuid import UUID

from payments_svc.application.ledger_ports import Place, Row, Stage
from payments_svc.application.pages import InvalidCursor
from payments_svc.application.ports import Ports

_STAGES: tuple[Stage, Stage] = ("seals", "entries")
_POSITION, _HASH, _ID, _CHECK = 8, 32, 16, 6
"""Bytes of a cursor; with the stage's one they fill a text of 84 characters without a bit to spare."""


def verify_ledger_step(ports: Ports, *, expected: str | None = None, cursor: str | None = None) -> Row:
    """Check the books from where the step before has ended.

    :param expected: a head that was written down before, the same in all steps; without it nobody sees that the
        newest entries are gone
    :param cursor: the ``next_cursor`` of the step before
    :returns: ``status``: ``unfinished`` with a ``next_cursor``, ``intact`` or ``broken``; ``checked``: the last seal
        that is right, which is the one to write down in the end; ``broken``: what is wrong
    :raises InvalidHead: the expected one is none
    """
    step = ports.ledger.verify_step(None if cursor is None else _decode(cursor, expected), expected)
    if step.broken is not None:
        return {"status": "broken", "checked": step.checked, "broken": step.broken, "next_cursor": None}
    status = "intact" if step.place is None else "unfinished"
    following = None if step.place is None else _encode(step.place, expected)
    return {"status": status, "checked": step.checked, "broken": None, "next_cursor": following}


def _encode(place: Place, expected: str | None) -> str:
    stage = _STAGES.index(place.stage)
    content = bytes([stage]) + place.position.to_bytes(_POSITION) + place.hash + place.last.bytes
    return urlsafe_b64encode(content + _check(content, expected)).decode()


def _decode(cursor: str, expected: str | None) -> Place:
    try:
        raw = urlsafe_b64decode(cursor)
        stage, rest = raw[0], raw[1:]
        place = Place(
            stage=_STAGES[stage],
            position=int.from_bytes(rest[:_POSITION]),
            hash=rest[_POSITION : _POSITION + _HASH],
            last=UUID(bytes=rest[_POSITION + _HASH : _POSITION + _HASH + _ID]),
        )
    except (TypeError, ValueError, IndexError) as exc:
        raise InvalidCursor("the cursor is none of this check") from exc
    # Not a secret: whoever forges one only skips what they could have checked.
    if _encode(place, expected) != cursor:
        raise InvalidCursor("the cursor is none of this check")
    return place


def _check(content: bytes, expected: str | None) -> bytes:
    return sha256(f"ledger check:{expected}:".encode() + content).digest()[:_CHECK]

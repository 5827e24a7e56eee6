"""How long the gateway remembers what is revoked, and how much memory that takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway import revocations as module
from gateway.revocations import Revocations
from lib.ids import new_id, rfc3339, utc_now
from tests.unit.gateway.revoking import (
    GOOD,
    KEEP,
    OTHER_SESSION,
    OTHER_USER,
    SESSION_ID,
    USER_ID,
    Source,
    event,
    page,
    refused,
)
from tests.unit.lib.fakes import Clock, Connection, message


def test_entries_are_kept_until_no_token_can_be_left(
    revocations: Revocations, connection: Connection, clock: Clock, tell: Any
) -> None:
    tell(GOOD)
    tell(event(user_id=OTHER_USER, not_before=rfc3339(utc_now()), reason="x"))
    clock.advance(KEEP - 1)
    revocations.link_tick(connection)  # type: ignore[arg-type]
    assert refused(revocations)
    assert refused(revocations, OTHER_USER, OTHER_SESSION)
    clock.advance(1)
    revocations.link_tick(connection)  # type: ignore[arg-type]
    assert revocations.held == 0
    assert not refused(revocations)
    assert not refused(revocations, OTHER_USER, OTHER_SESSION)


def test_a_later_moment_is_kept_for_its_own_time(
    revocations: Revocations, connection: Connection, clock: Clock, tell: Any
) -> None:
    tell(event(user_id=OTHER_USER, not_before=rfc3339(utc_now() - timedelta(hours=1)), reason="x"))
    clock.advance(KEEP / 2)
    tell(event(user_id=OTHER_USER, not_before=rfc3339(utc_now()), reason="x"))
    clock.advance(KEEP / 2)
    revocations.link_tick(connection)  # type: ignore[arg-type]
    assert refused(revocations, OTHER_USER, OTHER_SESSION)
    clock.advance(KEEP / 2)
    revocations.link_tick(connection)  # type: ignore[arg-type]
    assert revocations.held == 0


def test_two_moments_heard_of_at_once_are_forgotten_at_once(
    revocations: Revocations, connection: Connection, clock: Clock, tell: Any
) -> None:
    for age in (2, 1):
        tell(event(user_id=OTHER_USER, not_before=rfc3339(utc_now() - timedelta(hours=age)), reason="x"))
    clock.advance(KEEP)
    revocations.link_tick(connection)  # type: ignore[arg-type]
    assert revocations.held == 0


def test_hearing_of_it_again_does_not_keep_it_for_ever(
    revocations: Revocations, source: Source, connection: Connection, clock: Clock, tell: Any
) -> None:
    tell(GOOD)
    source.pages = [page((SESSION_ID,))]
    for _ in range(3):
        clock.advance(KEEP / 4)
        assert revocations.load()
        tell(GOOD)
    assert len(revocations._order) == 1
    clock.advance(KEEP / 4)
    revocations.link_tick(connection)  # type: ignore[arg-type]
    assert revocations.held == 0


def test_memory_is_bounded_by_what_is_revoked_within_that_time(
    revocations: Revocations, connection: Connection, clock: Clock, tell: Any
) -> None:
    for _ in range(2000):
        clock.advance(KEEP / 100)
        tell(event(session_id=str(new_id()), user_id=USER_ID, reason="x"))
        tell(event(user_id=str(new_id()), not_before=rfc3339(utc_now()), reason="x"))
    assert revocations.held <= 2 * 101
    assert len(revocations._order) <= 2 * 101


def test_many_are_forgotten_bit_by_bit(
    revocations: Revocations, source: Source, connection: Connection, clock: Clock
) -> None:
    """The connection's only reader has other things to do, too."""
    source.pages = [page(tuple(str(new_id()) for _ in range(2500)))]
    revocations.link_up(connection)
    assert revocations.load()
    clock.advance(KEEP)
    left = []
    for _ in range(3):
        revocations.link_tick(connection)  # type: ignore[arg-type]
        left.append(revocations.held)
    assert left == [1500, 500, 0]


def test_the_wall_clock_revives_nothing(
    connection: Connection, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It jumps ahead, so that the token seems over, and back, so that it is good again: the entry is there."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    revocations = Revocations(source, keep=KEEP, clock=clock.monotonic)
    revocations.link_up(connection)
    assert revocations.load()
    connection.deliver(message(GOOD))
    for jump in (3600, -7200):
        clock.wall += jump
        revocations.link_tick(connection)  # type: ignore[arg-type]
        assert refused(revocations)


def test_an_account_is_there_all_the_time_while_it_is_updated(
    revocations: Revocations, tell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests ask without a lock: between removing and adding they would find nothing."""
    removed = []

    class Watched(dict[str, Any]):
        def __delitem__(self, key: str) -> None:
            removed.append(key)
            super().__delitem__(key)

        def pop(self, *args: Any) -> Any:
            removed.append(args)
            return super().pop(*args)

    monkeypatch.setattr(revocations, "_accounts", Watched())
    start = utc_now()
    for number in range(3):
        tell(event(user_id=USER_ID, not_before=rfc3339(start + timedelta(seconds=number)), reason="x"))
        assert refused(revocations)
    assert not removed

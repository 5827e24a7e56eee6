"""What the gateway knows of revoked sessions from snapshots, and when it has to have one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from gateway import revocations as module
from gateway.revocations import RevocationKeeper, Revocations, RevocationsUnavailable, Snapshot
from lib.errors import Unavailable
from lib.ids import milliseconds_of, new_id, rfc3339, utc_now
from tests.support.waiting import eventually, stays
from tests.unit.gateway.revoking import (
    GOOD,
    OTHER_SESSION,
    OTHER_USER,
    SESSION_ID,
    USER_ID,
    Source,
    event,
    page,
    refused,
)
from tests.unit.lib.fakes import Connection, message


def test_there_is_no_judging_before_the_first_snapshot(revocations: Revocations, connection: Connection) -> None:
    for step in (lambda: None, lambda: revocations.link_up(connection), lambda: revocations.link_tick(connection)):  # type: ignore[arg-type]
        step()
        with pytest.raises(RevocationsUnavailable) as caught:
            revocations.demand()
    assert caught.value.kind == "unavailable"
    assert caught.value.details == {"retry_after": 1}
    assert revocations.wanted.is_set()
    assert revocations.load()
    revocations.demand()


def test_a_snapshot_is_asked_for_page_by_page(revocations: Revocations, source: Source, connection: Connection) -> None:
    sessions = [str(new_id()) for _ in range(5)]
    moment = milliseconds_of(new_id())
    source.pages = [page((sessions[0], sessions[1]), "1"), page((sessions[2],), "2"), page((sessions[3],))]
    source.pages[1]["accounts"][USER_ID] = moment
    revocations.link_up(connection)
    assert revocations.load()
    assert source.asked == [None, "1", "2"]
    assert [refused(revocations, OTHER_USER, each) for each in sessions] == [True] * 4 + [False]
    assert refused(revocations, USER_ID, sessions[4]) == (milliseconds_of(UUID(sessions[4])) <= moment)
    assert revocations.held == 5


def test_events_while_the_snapshot_is_on_its_way_are_kept(
    revocations: Revocations, source: Source, connection: Connection
) -> None:
    other, third = str(new_id()), str(new_id())

    def meanwhile() -> Snapshot:
        connection.deliver(message(event(session_id=SESSION_ID, user_id=USER_ID, reason="x")))
        connection.deliver(message(event(user_id=OTHER_USER, not_before=rfc3339(utc_now()), reason="x")))
        # The snapshot is from before these; what it says of the account is older than the event.
        found = page((other,), "1")
        found["accounts"][OTHER_USER] = 1
        return found

    source.pages = [meanwhile, page((third,))]
    revocations.link_up(connection)
    assert revocations.load()
    for session in (SESSION_ID, other, third):
        assert refused(revocations, USER_ID, session)
    assert refused(revocations, OTHER_USER, OTHER_SESSION)


def test_an_event_before_the_snapshot_counts_once_there_is_one(
    revocations: Revocations, connection: Connection
) -> None:
    revocations.link_up(connection)
    connection.deliver(message(GOOD))
    assert revocations.load()
    assert refused(revocations)


BROKEN: dict[str, Any] = {
    "away": Unavailable("auth_svc is not running"),
    "a mistake": RuntimeError("x"),
    "null": None,
    "a list": [],
    "no sessions": {"accounts": {}, "next_cursor": None},
    "no accounts": {"sessions": {}, "next_cursor": None},
    "no cursor": {"sessions": {}, "accounts": {}},
    "sessions as a number": {"sessions": 5, "accounts": {}, "next_cursor": None},
    "a session that is no id": {"sessions": {"x": 1}, "accounts": {}, "next_cursor": None},
    "accounts in a list": {"sessions": {}, "accounts": [USER_ID], "next_cursor": None},
    "a moment as a text": {"sessions": {}, "accounts": {USER_ID: "now"}, "next_cursor": None},
    "a moment that is true": {"sessions": {}, "accounts": {USER_ID: True}, "next_cursor": None},
    "an account that is no id": {"sessions": {}, "accounts": {"x": 1}, "next_cursor": None},
    "a page that leads to itself": {"sessions": {}, "accounts": {}, "next_cursor": "0"},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_without_a_whole_snapshot_there_is_no_judging(
    revocations: Revocations, source: Source, connection: Connection, broken: Any
) -> None:
    source.pages = [broken]
    revocations.link_up(connection)
    assert not revocations.load()
    assert not revocations.ready
    source.pages = [page((SESSION_ID,), "1"), broken if not isinstance(broken, dict) else RuntimeError()]
    assert not revocations.load()
    assert not revocations.ready
    source.pages = [page()]
    assert revocations.load()
    assert revocations.ready
    # What the page that did come told is not forgotten.
    assert refused(revocations)


def test_a_lost_connection_ends_judging_until_the_next_snapshot(
    revocations: Revocations, source: Source, connection: Connection, tell: Any
) -> None:
    tell(GOOD)
    revocations.wanted.clear()
    revocations.link_down()
    with pytest.raises(RevocationsUnavailable):
        revocations.demand()
    # Nobody is asked while there is no connection.
    assert revocations.load()
    assert source.asked == [None]
    again = Connection()
    revocations.link_up(again)
    assert not revocations.wanted.is_set()
    revocations.link_tick(again)  # type: ignore[arg-type]
    assert revocations.wanted.is_set()
    assert not revocations.ready
    source.pages = [page((OTHER_SESSION,))]
    assert revocations.load()
    assert revocations.ready
    assert refused(revocations)
    assert refused(revocations, USER_ID, OTHER_SESSION)


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_snapshot_of_a_connection_that_is_over_does_not_count(
    revocations: Revocations, source: Source, connection: Connection, comes_back: bool
) -> None:
    def breaks() -> Snapshot:
        revocations.link_down()
        if comes_back:
            revocations.link_up(Connection())
        return page((SESSION_ID,))

    source.pages = [breaks]
    revocations.link_up(connection)
    assert not revocations.load()
    assert not revocations.ready


def test_one_tick_of_a_connection_wants_one_snapshot(revocations: Revocations, connection: Connection) -> None:
    revocations.link_up(connection)
    revocations.link_tick(connection)  # type: ignore[arg-type]
    revocations.wanted.clear()
    revocations.link_tick(connection)  # type: ignore[arg-type]
    assert not revocations.wanted.is_set()


# --- the keeper ---


@pytest.fixture
def keeper(revocations: Revocations) -> Iterator[RevocationKeeper]:
    keeper = RevocationKeeper(revocations)
    keeper.start()
    yield keeper
    keeper.stop()
    keeper.join(5)
    assert not keeper.is_alive()


def test_the_keeper_loads_after_each_connect(
    revocations: Revocations, source: Source, keeper: RevocationKeeper
) -> None:
    stays(lambda: not source.asked, during=0.1)
    for number in (1, 2):
        connection = Connection()
        revocations.link_up(connection)
        revocations.link_tick(connection)  # type: ignore[arg-type]
        eventually(lambda: revocations.ready)
        assert len(source.asked) == number
        revocations.link_down()


def test_the_keeper_tries_again_until_there_is_a_snapshot(
    revocations: Revocations, source: Source, connection: Connection, keeper: RevocationKeeper
) -> None:
    source.pages = [Unavailable("away")]
    revocations.link_up(connection)
    revocations.link_tick(connection)  # type: ignore[arg-type]
    eventually(lambda: len(source.asked) >= 3)
    assert not revocations.ready
    source.pages = [page((SESSION_ID,))]
    eventually(lambda: revocations.ready)
    assert refused(revocations)


def test_the_keeper_looks_again_now_and_then(
    revocations: Revocations, source: Source, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an event that could not be read."""
    monkeypatch.setattr(module, "REFRESH_EVERY", 0.02)
    revocations.link_up(connection)
    assert revocations.load()
    keeper = RevocationKeeper(revocations)
    keeper.start()
    try:
        source.pages = [page((SESSION_ID,))]
        eventually(lambda: refused(revocations))
        source.pages = [Unavailable("away")]
        before = len(source.asked)
        eventually(lambda: len(source.asked) > before + 1)
        # A copy that cannot be refreshed is no reason to refuse anybody: events go on coming in.
        revocations.demand()
    finally:
        keeper.stop()
        keeper.join(5)

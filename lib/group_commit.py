"""Group commit: small transactions that nobody waits for share a message to PostgreSQL.

Events arrive in bursts, as the relay sends them, and the handler of each ends with a small commit (`lib.writes`). Sent
one by one, each wakes a process of PostgreSQL for a few short statements, and those that count in the same row stand in
line for it, each on a connection of its own. Here whoever is about to commit takes along all who are, and who comes
while their message is on its way waits for the next: a lone handler waits for nobody, and the more there is to do, the
more go together.

They remain transactions of their own. If PostgreSQL refuses one of a group, it undoes the message, and each is sent
once more by itself, to get its own answer. A group waits for a row `WAIT_FOR_ROWS` at most: what it would wait for
longer, one of it waits for alone. Until then it holds the rows of all, so that time for each of `LARGEST_GROUP` is less
than the second after which PostgreSQL looks for a deadlock: a group gives in before anybody is refused for its sake.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import copy
from typing import Any

import sqlalchemy as sa

from lib.errors import OutcomeUnknown
from lib.writes import Form, Write, write_at_once, write_together

#: transactions in one message
LARGEST_GROUP = 16
#: milliseconds, for each row
WAIT_FOR_ROWS = 50
_BRIEFLY = Write(Form(f"SET LOCAL lock_timeout = {WAIT_FOR_ROWS}", {}), {})
_LOCK_NOT_AVAILABLE = "55P03"


class _Unit:
    """What one transaction writes, and what became of it.

    :ivar told: set when the others may be looked at
    :ivar leads: it is to send the next message, for those who wait, too
    :ivar done: it is saved
    :ivar error: it has failed; without one, and not `done`, it is still to be sent, by itself
    """

    __slots__ = ("done", "error", "leads", "told", "writes")

    def __init__(self, writes: Sequence[Write]) -> None:
        self.writes = writes
        self.told = threading.Event()
        self.leads = self.done = False
        self.error: Exception | None = None


class GroupCommit:
    """The transactions of one process in one database that go together.

    :param guard: as of `lib.direct.send`; raises `OutcomeUnknown` if the server goes away within it
    """

    def __init__(self, engine: sa.Engine, guard: Callable[[], AbstractContextManager[None]]) -> None:
        self._engine, self._guard = engine, guard
        self._lock = threading.Lock()
        self._waiting: list[_Unit] = []
        self._is_led = False

    def commit(self, writes: Sequence[Write]) -> None:
        """Do 1 to `lib.writes.AT_MOST` writes as a transaction, perhaps together with those of others.

        For work that may be done again: whoever is killed while waiting may have saved, or not.

        :raises OutcomeUnknown: the server went away, or who had sent the message was killed
        :raises Exception: as `lib.writes.write_at_once`
        """
        unit = _Unit(writes)
        with self._lock:
            self._waiting.append(unit)
            unit.leads, self._is_led = not self._is_led, True
        if not unit.leads:
            self._follow(unit)
        if unit.leads:
            self._lead(unit)
        if unit.error is not None:
            raise unit.error
        if not unit.done:
            write_at_once(self._engine, writes, guard=self._guard)

    def _follow(self, unit: _Unit) -> None:
        try:
            unit.told.wait()
        except BaseException:
            self._leave(unit)
            raise

    def _lead(self, unit: _Unit) -> None:
        group: list[_Unit] = []
        try:
            # Not a wait: it lets all greenlets run that can, so that the others of a burst get to their commits, too.
            # Without it the first one would go alone (`test_a_burst_is_one_message`).
            time.sleep(0)
            with self._lock:
                group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
            self._send(group)
        finally:
            self._leave(unit)
            for each in group:
                each.told.set()

    def _send(self, group: Sequence[_Unit]) -> None:
        try:
            write_together(self._engine, [[_BRIEFLY], *(each.writes for each in group)], guard=self._guard)
        except OutcomeUnknown as exc:
            _end(group, exc)
        except Exception as exc:
            # One that was alone has its answer, unless a little more patience may bring another. And who has got no
            # connection need not ask for one each, of a server that has none for one.
            if _without_connection(exc) or (len(group) == 1 and _code(exc) != _LOCK_NOT_AVAILABLE):
                _end(group, exc)
        except BaseException as exc:
            _end(group, OutcomeUnknown("who sent the message was killed; it may have happened"), exc)
            raise
        else:
            for each in group:
                each.done = True

    def _leave(self, unit: _Unit) -> None:
        """Wait no more, and if the next message is this one's to send, leave that to the first of those who wait."""
        with self._lock:
            if unit in self._waiting:
                self._waiting.remove(unit)
            if not unit.leads:
                return
            self._is_led = bool(self._waiting)
            if self._is_led:
                self._waiting[0].leads = True
                self._waiting[0].told.set()


def _end(group: Sequence[_Unit], error: Exception, cause: BaseException | None = None) -> None:
    """:param cause: of the error, if it is not raised where it comes from"""
    for each in group:
        # One of its own for each: they are raised in several places at the same time.
        each.error = error if len(group) == 1 else copy(error)
        if each.error is not error or cause is not None:
            each.error.__cause__ = cause or error


def _without_connection(error: Exception) -> bool:
    if isinstance(error, sa.exc.OperationalError):
        return _code(error) is None
    return isinstance(error, sa.exc.TimeoutError)


def _code(error: Exception) -> Any:
    return getattr(getattr(error, "orig", None), "pgcode", None)

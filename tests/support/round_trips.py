"""How often this process waits for PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2 import extensions
from psycopg2.extras import wait_select


@contextmanager
def round_trips(before_each: Callable[[int], None] = lambda number: None) -> Iterator[list[int]]:
    """Give a list that grows with each message that psycopg2 sends within the block, in whatever thread.

    BEGIN and COMMIT count; connecting to PostgreSQL does not.

    :param before_each: is called while the answer is waited for, with the number of the message; what it raises comes
        to psycopg2 as what is raised in a greenlet that is being killed
    """
    sent: list[int] = []

    def wait(connection: Any) -> None:
        if connection.status != extensions.STATUS_SETUP:
            sent.append(len(sent) + 1)
            before_each(len(sent))
        wait_select(connection)

    before = extensions.get_wait_callback()
    extensions.set_wait_callback(wait)
    try:
        yield sent
    finally:
        extensions.set_wait_callback(before)

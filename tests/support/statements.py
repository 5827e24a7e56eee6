"""What is sent to a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from lib.database import Sessions


@contextmanager
def statements(sessions: Sessions) -> Iterator[list[str]]:
    """Give the texts of the messages that these sessions send within the block; BEGIN and COMMIT are not among them."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    sa.event.listen(sessions.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(sessions.engine, "before_cursor_execute", note)

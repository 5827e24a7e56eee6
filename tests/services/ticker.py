"""A service that does nothing but what comes again and again."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from lib.database import Database
from lib.errors import Conflict
from lib.every import every
from lib.provide import Provide
from tests.services.probe import effects


def build(config: dict[str, Any], sessions: Any) -> Any:
    return sessions


class TickerService:
    """Writes an effect per run; each method in its own way."""

    name = "ticker_svc"
    sessions = Provide(build, database=Database())

    @every(seconds=0.2)
    def tick(self) -> None:
        self._write("tick")

    @every(seconds=60)
    def rare(self) -> None:
        self._write("rare")

    @every(seconds=0.2)
    def fail(self) -> None:
        self._write("fail")
        raise RuntimeError("a bug")

    @every(seconds=0.2)
    def refuse(self) -> None:
        raise Conflict("somebody has it")

    @every(seconds=0.3)
    def slow(self) -> None:
        self._write("slow begins")
        time.sleep(0.7)
        self._write("slow ends")

    def _write(self, name: str) -> None:
        with self.sessions() as session:
            session.execute(sa.insert(effects).values(name=name))
            session.commit()

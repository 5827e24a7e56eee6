"""What a service does again and again, in a real process: it comes again whatever happens, and ends when it is told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.local.infra import Infrastructure
from tests.conftest import ROOT
from tests.services.probe import effects, metadata
from tests.support import databases
from tests.support.stack import Stack
from tests.support.waiting import eventually, stays

TICKER = "tests.services.ticker"


class Ticker:
    """The running service, what it has written, and what it says."""

    def __init__(self, stack: Stack, engine: sa.Engine) -> None:
        self.stack = stack
        self.engine = engine

    def written(self) -> list[tuple[str, datetime]]:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(effects.c.name, effects.c.at).order_by(effects.c.id))
            return [(row.name, row.at) for row in rows]

    def count(self, name: str) -> int:
        return Counter(each for each, _ in self.written())[name]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stack.log(TICKER).splitlines() if line.startswith("{")]

    def about(self, method: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if f"Every {method}" in str(line["event"])]


@pytest.fixture(scope="module")
def ticker_database(environment: dict[str, str]) -> Iterator[sa.Engine]:
    superuser = environment["POSTGRES_SUPERUSER_URL"]
    admin = databases.admin(superuser)
    with admin.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE ticker"))
    engine = sa.create_engine(databases.on_database(superuser, "ticker"), poolclass=sa.pool.NullPool)
    metadata.create_all(engine)
    yield engine
    with admin.connect() as connection:
        connection.execute(sa.text("DROP DATABASE ticker WITH (FORCE)"))


@pytest.fixture
def ticker(environment: dict[str, str], ticker_database: sa.Engine, tmp_path: Path) -> Iterator[Ticker]:
    """Started, and through its first runs."""
    path = tmp_path / "config.yaml"
    url = ticker_database.url.render_as_string(hide_password=False)
    text = (ROOT / "config.yaml").read_text()
    path.write_text(text.replace("DB_URIS:\n", f'DB_URIS:\n  "ticker_svc:Base": "{url}"\n', 1))
    with ticker_database.begin() as connection:
        connection.execute(sa.delete(effects))
    stack = Stack({**environment, "CONFIG_PATH": str(path), "LOG_LEVEL": "INFO"}, tmp_path)
    ticker = Ticker(stack, ticker_database)
    try:
        stack.start(TICKER, wait=False)
        eventually(lambda: ticker.count("slow ends"), within=20)
        yield ticker
    finally:
        stack.stop()


def test_it_runs_at_once_and_again_and_never_twice_at_a_time(ticker: Ticker) -> None:
    assert ticker.count("rare") == 1, "at once"
    assert ticker.count("tick") >= 2
    eventually(lambda: ticker.count("slow ends") >= 3)
    slow = [(name, at) for name, at in ticker.written() if name.startswith("slow")]
    assert [name for name, _ in slow] == (["slow begins", "slow ends"] * len(slow))[: len(slow)]
    pauses = [(begin[1] - end[1]).total_seconds() for end, begin in zip(slow[1::2], slow[2::2], strict=False)]
    assert all(pause >= 0.27 for pause in pauses), "from the end of a run to the next beginning"
    assert ticker.count("rare") == 1


def test_a_run_that_fails_is_told_and_the_next_one_comes(ticker: Ticker) -> None:
    seen = ticker.count("fail")
    eventually(lambda: ticker.count("fail") >= seen + 3)
    failures = ticker.about("fail")
    assert {line["level"] for line in failures} == {"error"}
    assert all("RuntimeError: a bug" in line["exception"] for line in failures)
    refusals = ticker.about("refuse")
    assert {line["level"] for line in refusals} == {"warning"}
    assert all("somebody has it" in line["event"] and "exception" not in line for line in refusals)


def test_a_run_that_went_well_is_not_worth_a_line(ticker: Ticker) -> None:
    eventually(lambda: ticker.count("tick") >= 5)
    assert ticker.about("tick") == ticker.about("slow") == ticker.about("rare") == []


def test_a_drain_lets_the_running_one_end_and_begins_no_other(ticker: Ticker) -> None:
    eventually(lambda: ticker.written()[-1][0] == "slow begins", every=0.005)
    ticker.stack.terminate(TICKER)
    assert ticker.stack.wait_end(TICKER, within=10) == 0
    assert ticker.count("slow begins") == ticker.count("slow ends")
    at_the_end = ticker.written()
    stays(lambda: ticker.written() == at_the_end, during=0.5)


@pytest.mark.faults
def test_without_a_database_each_run_costs_one_line_and_afterwards_it_goes_on(
    ticker: Ticker, infrastructure: Infrastructure
) -> None:
    try:
        infrastructure.postgres.stop()
        eventually(lambda: len(ticker.about("tick")) >= 4)
    finally:
        infrastructure.postgres.start()
    lines = ticker.about("tick")
    assert {line["level"] for line in lines} == {"warning"}
    assert all("database_unavailable" in line["event"] and "\n" not in line["event"] for line in lines)
    assert not any("exception" in line for line in lines)
    seen = eventually(lambda: ticker.count("tick"))
    eventually(lambda: ticker.count("tick") >= seen + 3)

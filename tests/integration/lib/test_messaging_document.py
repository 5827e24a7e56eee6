"""docs/messaging.md: its example runs as it stands, and the tests that it names are there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.conftest import ROOT
from tests.support import databases
from tests.support.waiting import eventually

DOCUMENT = ROOT / "docs" / "messaging.md"
EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```python\n(.*?)```\n<!-- /example -->", re.S)
TABLES = "import sys, sqlalchemy as sa, guestbook; guestbook.metadata.create_all(sa.create_engine(sys.argv[1]))"


@pytest.fixture
def guestbook(migrated: dict[str, str], tmp_path: Path) -> Iterator[tuple[Path, dict[str, str], str]]:
    """A folder with the example's files, a configuration and an empty database, as its reader would make them."""
    for name, text in EXAMPLE.findall(DOCUMENT.read_text()):
        (tmp_path / name).write_text(text)
    url = databases.on_database(migrated["POSTGRES_SUPERUSER_URL"], "guestbook")
    engine = databases.admin(migrated["POSTGRES_SUPERUSER_URL"])
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE guestbook"))
    entry = f'DB_URIS:\n  "guestbook_svc:Base": "{url}"\n'
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text().replace("DB_URIS:\n", entry, 1))
    environment = {**migrated, "PYTHONPATH": f"{ROOT}:{tmp_path}", "HTTP_PORT": "0"}
    yield tmp_path, environment, url
    with engine.connect() as connection:
        connection.execute(sa.text("DROP DATABASE guestbook WITH (FORCE)"))
    engine.dispose()


def test_the_example_works_as_written(guestbook: tuple[Path, dict[str, str], str]) -> None:
    folder, environment, url = guestbook

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-W", "ignore", "-c", TABLES, url)
    log = folder / "service.log"
    with log.open("w") as output:
        service = subprocess.Popen(
            [sys.executable, "-m", "lib.runner", "guestbook:GuestbookService"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: " is ready" in log.read_text(), within=30)
        told = run("-W", "ignore", "client.py").splitlines()
        assert told[1] == "conflict name_taken {'name': 'Ann'}"
        assert json.loads(told[2].replace("None", "null"))[1] is None
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)

        def greetings() -> int:
            with engine.connect() as connection:
                return int(connection.scalar(sa.text("select greetings from guests where name = 'Ann'")) or 0)

        eventually(lambda: greetings() == 1)
    finally:
        service.terminate()
        assert service.wait(20) == 0

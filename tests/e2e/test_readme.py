"""The README's first tour, run from the README's own text."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.conftest import ROOT
from tests.e2e.client import unique_email
from tests.support.stack import Stack

TOUR = re.compile(r"<!-- tour -->\n```bash\n(.*?)```\n<!-- /tour -->", re.S)


def test_the_first_tour_works_as_written(stack: Stack, tmp_path: Path) -> None:
    (tour,) = TOUR.findall((ROOT / "README.md").read_text())
    # Only what cannot be the same twice on one database, and the port, differ from the text.
    for written, used in (
        ("http://localhost:3000", stack.url),
        ("john.doe@example.com", unique_email()),
        ("jane@example.com", unique_email()),
    ):
        assert written in tour
        tour = tour.replace(written, used)
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", tour],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    answers = [json.loads(line) if line.startswith("{") else line for line in lines]
    (registered, login, profile, public, payment, again, half, rest, refused, invited, refreshed, logged_out) = answers
    assert registered["token_type"] == "Bearer"
    assert profile["id"] == registered["user"]["id"] == login["user"]["id"] == public["id"]
    assert "email" not in public
    assert (payment["status"], payment["amount"]) == ("succeeded", 1999)
    assert again == payment
    assert (half["amount"], rest["amount"]) == (999, 1000)
    assert (refused["status"], refused["code"]) == (422, "refund_exceeds_captured")
    assert set(invited) == {"id", "email", "name"}
    assert refreshed["refresh_token"] != login["refresh_token"]
    assert logged_out.strip() == "204"

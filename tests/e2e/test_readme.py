"""The README's first tour, run from the README's own text."""

from __future__ import annotations

import json
import os
import re
import subprocess

from tests.conftest import ROOT
from tests.e2e.client import unique_email
from tests.support.stack import Stack

TOUR = re.compile(r"<!-- tour -->\n```bash\n(.*?)```\n<!-- /tour -->", re.S)


def test_the_first_tour_works_as_written(stack: Stack) -> None:
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
        # `make mail` is asked in the project's folder; what the tour writes down it removes again.
        cwd=ROOT,
        env={**os.environ, "MAIL_FOLDER": str(stack.mail)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    # The rest is the mail.
    answers = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    (registered, login, profile, public, payment, again, half, rest, refused, *others) = answers
    (held, captured, unknown, moved, invited, verified, sessions, *others) = others
    (happened, edited, found, inbox, refreshed) = others
    assert registered["token_type"] == "Bearer"
    assert profile["id"] == registered["user"]["id"] == login["user"]["id"] == public["id"]
    assert "email" not in public
    assert (payment["status"], payment["amount"]) == ("succeeded", 1999)
    assert again == payment
    assert (half["amount"], rest["amount"]) == (999, 1000)
    assert (refused["status"], refused["code"]) == (422, "refund_exceeds_captured")
    assert (held["status"], held["amount_capturable"]) == ("requires_capture", 5000)
    assert (captured["status"], captured["amount_captured"]) == ("succeeded", 3000)
    assert unknown["status"] == "unknown"
    assert unknown["next_check_at"]
    assert moved["data"][0]["amount"] == 3000
    assert set(invited) == {"id", "email", "name"}
    assert refreshed["refresh_token"] != login["refresh_token"]
    assert verified == {"status": "verified"}
    assert [each["current"] for each in sessions["data"]].count(True) == 1
    assert [each["kind"] for each in happened["data"]] == ["email.verified", "login.succeeded", "account.registered"]
    assert (edited["handle"], edited["bio"]) == ("john_the_hare", "Faster than a tortoise.")
    assert [each["id"] for each in found["data"]] == [edited["id"]]
    assert "payment_succeeded" in [each["type"] for each in inbox["data"]]
    assert result.stdout.splitlines()[-1] == "204"

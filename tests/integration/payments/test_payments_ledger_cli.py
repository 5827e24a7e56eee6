"""The operators' commands about the books."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from lib import config as configuration
from lib.ids import rfc3339, utc_now
from payments_svc.application.seal_ledger import seal_ledger
from payments_svc.infrastructure.sql_ledger import SqlBooks
from payments_svc.presentation.cli import commands
from tests.conftest import ROOT
from tests.integration.payments.ledger_books import Desk, capture, post


@pytest.fixture
def run(payments_sessions):
    """Run a command; returns its exit code and its output."""
    uri = payments_sessions.engine.url.render_as_string(hide_password=False)
    config = {**configuration.load(ROOT / "config.yaml", {}), "DB_URIS": {"payments_svc:Base": uri}}

    def run(*arguments):
        result = CliRunner().invoke(commands, arguments, obj=config)
        return result.exit_code, result.output.strip()

    return run


@pytest.fixture
def superuser(database):
    with database("payments_sql") as connection:
        connection.execute(sa.text("set session_replication_role = replica"))
        yield connection


@pytest.fixture
def posted(payments_sessions):
    post(payments_sessions, *[capture(n, at) for n in range(1, 5) for at in ("EUR", "JPY")])
    assert seal_ledger(Desk(SqlBooks(payments_sessions, balances=False))) == 16


def test_books_that_are_whole_give_their_head(posted, run):
    code, head = run("verify-ledger")
    assert code == 0
    assert re.fullmatch(r"16:[0-9a-f]{64}", head)
    assert run("verify-ledger", "--expected", head) == (0, head)


def test_empty_books_are_whole(run):
    assert run("verify-ledger") == (0, "nothing is sealed yet")


def test_the_first_broken_row_is_named(posted, run, superuser):
    row = superuser.scalar(sa.text("select row_id from ledger_seals where position = 6"))
    superuser.execute(sa.text("update ledger_entries set amount = amount + 1 where id = :id"), {"id": row})
    assert run("verify-ledger") == (1, f"Error: position 6: the row {row} or its seal has been changed")


def test_a_cut_end_is_seen_by_who_expects_it(posted, run, superuser):
    _, head = run("verify-ledger")
    for statement in (
        "delete from ledger_entries where id in (select row_id from ledger_seals where position > 12)",
        "delete from ledger_seals where position > 12",
    ):
        superuser.execute(sa.text(statement))
    assert run("verify-ledger")[0] == 0
    assert run("verify-ledger", "--expected", head) == (1, "Error: position 13: the end is missing, up to 16 at least")


def test_what_is_no_head_is_one_line_and_not_0(posted, run):
    code, line = run("verify-ledger", "--expected", "16:abc")
    assert code == 1
    assert line.startswith("Error: expected a head like")


def test_the_trial_balance_is_one_line_of_json(posted, run):
    code, line = run("trial-balance")
    assert code == 0
    result = json.loads(line)
    assert result["balanced"] is True
    assert result["data"] == [
        {"currency": name, "debits": 10, "credits": 10, "difference": 0} for name in ("EUR", "JPY")
    ]
    code, line = run("trial-balance", "--at", rfc3339(utc_now() - timedelta(hours=1)))
    assert (code, json.loads(line)["data"]) == (0, [])


def test_a_trial_balance_that_is_none_ends_with_1(posted, run, superuser):
    superuser.execute(sa.text("update ledger_entries set amount = amount + 1 where amount = 4 and currency = 'EUR'"))
    code, output = run("trial-balance")
    assert code == 1
    assert json.loads(output.partition("\n")[0])["data"][0]["difference"] == 1
    assert output.endswith("Error: debits and credits differ")


@pytest.mark.parametrize("at", ["yesterday", "2999-01-01", ""])
def test_a_moment_that_is_none_is_refused(run, at):
    code, line = run("trial-balance", "--at", at)
    assert code == 1
    assert line.startswith("Error: ")

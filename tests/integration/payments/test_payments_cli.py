"""The operators' commands."""

import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from payments_svc.bootstrap import build_ports
from payments_svc.presentation.cli import commands
from tests.integration.payments.test_payments_races import CONFIG, pay


@pytest.fixture
def run(payments_sessions):
    uri = payments_sessions.engine.url.render_as_string(hide_password=False)

    def run(*arguments, **changes):
        config = {**CONFIG, **changes, "DB_URIS": {"payments_svc:Base": uri}, "DB_STATEMENT_TIMEOUT": 3}
        return CliRunner().invoke(commands, arguments, obj=config)

    return run


def test_answers_that_are_old_enough_are_forgotten_and_counted(payments_sessions, run):
    pay(build_ports(CONFIG, payments_sessions))
    with payments_sessions() as session:
        session.execute(sa.text("update idempotency_claims set finished_at = finished_at - interval '1 hour'"))
        session.commit()
    assert json.loads(run("expire-answers").output) == {"forgotten": 0}
    assert json.loads(run("expire-answers", IDEMPOTENCY_TTL=60).output) == {"forgotten": 1}
    with payments_sessions() as session:
        assert session.execute(sa.text("select answer is null, status from idempotency_claims")).all() == [
            (True, "done")
        ]

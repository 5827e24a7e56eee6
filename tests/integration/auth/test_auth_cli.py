"""The operators' commands, on a real database."""

import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from auth_svc.presentation.cli import commands
from tests.integration.auth.conftest import DEFAULTS


@pytest.fixture
def config(auth_sessions):
    uri = auth_sessions.engine.url.render_as_string(hide_password=False)
    return {**DEFAULTS, "DB_URIS": {"auth_svc:Base": uri}}


def test_ensure_signing_key_makes_one_key_however_often_it_is_called(config, auth_sessions):
    answers = [CliRunner().invoke(commands, ["ensure-signing-key"], obj=config) for _ in range(2)]
    assert [each.exit_code for each in answers] == [0, 0]
    assert answers[0].output == answers[1].output
    keys = [json.loads(line) for line in answers[0].output.splitlines()]
    assert sorted(each["state"] for each in keys) == ["active", "next"]
    assert {each["algorithm"] for each in keys} == {"ES256"}
    with auth_sessions() as session:
        stored = set(session.execute(sa.text("select kid from signing_keys")).scalars())
    assert stored == {each["kid"] for each in keys}

"""The operators' commands, on a real database."""

import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from auth_svc.presentation.cli import commands


@pytest.fixture
def config(auth_sessions):
    uri = auth_sessions.engine.url.render_as_string(hide_password=False)
    return {
        "DB_URIS": {"auth_svc:Base": uri},
        "DB_STATEMENT_TIMEOUT": 3,
        "SECRET_KEY": "a-secret-key",
        "JWT_ISSUER": "https://issuer.example",
        "JWT_AUDIENCE": "leveret",
        "ACCESS_TOKEN_TTL": 900,
        "REFRESH_TOKEN_TTL": 2_592_000,
        "REFRESH_GRACE": 10,
        "SESSION_IDLE_TTL": 604_800,
    }


def test_ensure_signing_key_makes_one_key_however_often_it_is_called(config, auth_sessions):
    answers = [CliRunner().invoke(commands, ["ensure-signing-key"], obj=config) for _ in range(2)]
    assert [each.exit_code for each in answers] == [0, 0]
    (first, second) = (json.loads(each.output) for each in answers)
    assert first == second
    assert (first["algorithm"], first["state"]) == ("ES256", "active")
    with auth_sessions() as session:
        assert session.execute(sa.text("select kid from signing_keys")).scalars().all() == [first["kid"]]

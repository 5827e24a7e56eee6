"""What the operator sets about the sandbox."""

from datetime import timedelta

import pytest

from lib.config import ConfigError
from payments_svc.infrastructure.sandbox_settings import DEVELOPMENT_SECRET, RULES, SandboxSettings

CONFIG = {
    "APP_ENV": "development",
    "GATEWAY_HOST": "127.0.0.1",
    "GATEWAY_PORT": 3000,
    "PROVIDER_TIMEOUT": 8,
    "SANDBOX_LATENCY_MS": 120,
    "SANDBOX_ASYNC_SECONDS": 0.5,
    "SANDBOX_WEBHOOK_URL": "",
    "SANDBOX_WEBHOOK_SECRET": "one, two",
    "AUTHORIZATION_TTL": 604_800,
}


def read(**changes):
    config = {**CONFIG, **changes}
    for name, rule in RULES.items():
        rule(name, config[name])
    return SandboxSettings.read(config)


def test_all_of_it_is_read():
    settings = read()
    assert (settings.latency, settings.timeout) == (0.12, 8.0)
    assert settings.terms.authorization == timedelta(days=7)
    assert settings.terms.settle_after == timedelta(seconds=0.5)
    assert settings.webhook_secrets == ("one", "two")


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, "http://127.0.0.1:3000/api/v1/webhooks/sandbox"),
        ({"GATEWAY_HOST": "0.0.0.0", "GATEWAY_PORT": 80}, "http://127.0.0.1:80/api/v1/webhooks/sandbox"),  # noqa: S104
        ({"GATEWAY_HOST": "::"}, "http://127.0.0.1:3000/api/v1/webhooks/sandbox"),
        ({"GATEWAY_HOST": "::1"}, "http://[::1]:3000/api/v1/webhooks/sandbox"),
        ({"GATEWAY_HOST": "10.0.0.7"}, "http://10.0.0.7:3000/api/v1/webhooks/sandbox"),
        ({"SANDBOX_WEBHOOK_URL": "https://gateway.example/hook"}, "https://gateway.example/hook"),
        ({"SANDBOX_WEBHOOK_URL": "off"}, None),
    ],
)
def test_where_messages_go(changes, expected):
    assert read(**changes).webhook_url == expected


@pytest.mark.parametrize(
    "name, value",
    [
        ("SANDBOX_LATENCY_MS", -1),
        ("SANDBOX_ASYNC_SECONDS", -1),
        ("SANDBOX_ASYNC_SECONDS", "1"),
        ("SANDBOX_WEBHOOK_URL", "gateway:3000"),
        ("SANDBOX_WEBHOOK_URL", "ftp://gateway"),
        ("SANDBOX_WEBHOOK_URL", None),
        ("SANDBOX_WEBHOOK_SECRET", ""),
        ("SANDBOX_WEBHOOK_SECRET", "one,,two"),
        ("SANDBOX_WEBHOOK_SECRET", None),
        ("AUTHORIZATION_TTL", 0),
        ("AUTHORIZATION_TTL", 1.5),
    ],
)
def test_wrong_values_are_named(name, value):
    with pytest.raises(ConfigError, match=name):
        read(**{name: value})


def test_production_refuses_the_secret_that_everybody_knows():
    for secrets in (DEVELOPMENT_SECRET, f"another,{DEVELOPMENT_SECRET}"):
        with pytest.raises(ConfigError, match="SANDBOX_WEBHOOK_SECRET") as caught:
            read(APP_ENV="production", SANDBOX_WEBHOOK_SECRET=secrets)
        assert DEVELOPMENT_SECRET not in str(caught.value)
    assert read(APP_ENV="production").webhook_secrets

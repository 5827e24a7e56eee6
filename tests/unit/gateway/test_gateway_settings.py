"""The gateway's configuration, and its start."""

from __future__ import annotations

from typing import Any

import pytest
from limits import parse

from gateway import wsgi
from gateway.__main__ import main
from gateway.settings import CONFIG, Settings, load_config
from lib import config as configuration
from lib.config import ConfigError
from tests.conftest import ROOT


def _load(**environment: str) -> dict[str, Any]:
    return load_config(ROOT / "config.yaml", dict(environment))


def test_the_defaults_are_fit_for_development() -> None:
    settings = Settings.of(_load())
    assert settings.rpc_timeout == 5
    assert settings.payments_timeout == 12
    assert settings.export_wait == 30
    assert settings.trusted_proxies == ()
    assert settings.cors_origins == frozenset()
    assert settings.rate_limits
    assert settings.login_failures_per_address == parse("30/10minute")
    assert settings.login_failures_global == parse("300/minute")
    assert settings.access_token_ttl == 900
    assert not settings.production


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "0"),
        ("GATEWAY_PORT", "65536"),
        ("GATEWAY_PORT", "http"),
        ("GATEWAY_WORKERS", "0"),
        ("GATEWAY_WORKERS", "many"),
        ("GATEWAY_THREADS", "0"),
        ("GATEWAY_HOST", ""),
        ("PUBLIC_URL", "localhost:3000"),
        ("PUBLIC_URL", "ftp://example.com"),
        ("REDIS_URL", "http://localhost"),
        ("RPC_TIMEOUT_PAYMENTS", "soon"),
        ("EXPORT_WAIT", "0"),
        ("TRUSTED_PROXIES", "everybody"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "https://app.example.com/path"),
        ("RATE_LIMITS", "maybe"),
        ("ACCESS_TOKEN_TTL", "0"),
        ("ACCESS_TOKEN_TTL", "86401"),
        ("ACCESS_TOKEN_TTL", "a while"),
    ],
)
def test_wrong_values_stop_the_start(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        _load(**{name: value})


@pytest.mark.parametrize(
    "value",
    ["", "many", "30", "30/", "/minute", "-1/minute", "0/minute", "30/fortnight", "30/minute;300/day", "30/2days",
     "1/year", "100001/day", "1.5/minute", 30, None, ["30/minute"], True],
)  # fmt: skip
@pytest.mark.parametrize("name", ["LOGIN_FAILURES_PER_ADDRESS", "LOGIN_FAILURES_GLOBAL"])
def test_what_is_no_rate_stops_the_start(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        configuration.check(_load() | {name: value}, CONFIG)


@pytest.mark.parametrize("value", ["30/10minute", "30 per 10 minutes", "1/second", "100000/day", "5/24 hours"])
def test_rates_can_be_written_in_several_ways(value: str) -> None:
    config = _load() | {"LOGIN_FAILURES_PER_ADDRESS": value}
    configuration.check(config, CONFIG)
    assert Settings.of(config).login_failures_per_address == parse(value)


@pytest.mark.parametrize("name", sorted(CONFIG))
def test_missing_and_mistyped_values_stop_the_start(name: str) -> None:
    config = _load()
    with pytest.raises(ConfigError, match=name):
        configuration.check({key: value for key, value in config.items() if key != name}, CONFIG)
    with pytest.raises(ConfigError, match=name):
        configuration.check(config | {name: None}, CONFIG)


def test_lists_may_have_blanks() -> None:
    settings = Settings.of(_load(TRUSTED_PROXIES=" 10.0.0.0/8 ,::1, ", CORS_ORIGINS="https://a.example , *"))
    assert [str(each) for each in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert settings.cors_origins == {"https://a.example", "*"}


def test_settings_do_not_show_secrets() -> None:
    settings = Settings.of(_load(REDIS_URL="redis://:hunter2@localhost/0", METRICS_TOKEN="hunter2"))
    assert "hunter2" not in repr(settings)


def test_a_start_that_cannot_be_says_why_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONFIG_PATH", str(ROOT / "config.yaml"))
    monkeypatch.setenv("GATEWAY_PORT", "nonsense")
    assert main() == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: GATEWAY_PORT: expected a whole number from 1 to 65535, got 'nonsense'\n"


def test_production_asks_for_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "APP_ENV": "production",
        "SECRET_KEY": "k" * 32,
        "METRICS_TOKEN": "m" * 32,
        "AMQP_URI": "amqp://gateway:x@localhost/",
    }.items():
        monkeypatch.setenv(name, value)
    config = load_config(str(ROOT / "config.yaml"))
    assert Settings.of(config).production
    assert config["DB_URIS"] == {}


def test_importing_the_wsgi_module_starts_nothing() -> None:
    assert "application" not in vars(wsgi)
    with pytest.raises(AttributeError):
        wsgi.__getattr__("something_else")

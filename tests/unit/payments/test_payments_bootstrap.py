"""The configuration of payments, and what is put together from it."""

import time
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from lib import config as configuration
from lib import context, faultpoint
from lib.config import ConfigError
from lib.ids import new_id
from payments_svc.application.ports import Rules
from payments_svc.bootstrap import CONFIG, Settings, build_ports

GOOD = {
    **configuration.load("config.yaml", environ={}),
    "APP_ENV": "development",
    "PAYMENTS_SELF_SERVICE": None,
    "PROVIDER_TIMEOUT": 8,
    "RPC_TIMEOUT_PAYMENTS": 12,
    "IDEMPOTENCY_TTL": 86400,
    "UNKNOWN_CHECK_SCHEDULE": "5m,1h,1d",
    "SANDBOX_LATENCY_MS": 250,
}


def test_the_settings_are_times_and_switches():
    assert Settings.read(GOOD) == Settings(
        self_service=True,
        provider_timeout=timedelta(seconds=8),
        idempotency_ttl=timedelta(days=1),
        check_schedule=(timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)),
    )


@pytest.mark.parametrize(
    "environment, value, on",
    [("development", None, True), ("production", None, False), ("production", 1, True), ("development", 0, False)],
)
def test_self_service_is_for_development_unless_it_is_asked_for(environment, value, on):
    assert Settings.read({**GOOD, "APP_ENV": environment, "PAYMENTS_SELF_SERVICE": value}).self_service is on


@pytest.mark.parametrize(
    "value, waits",
    [
        ("30s", [timedelta(seconds=30)]),
        ("1s, 2m ,3h,4d", [timedelta(seconds=1), timedelta(minutes=2), timedelta(hours=3), timedelta(days=4)]),
    ],
)
def test_a_schedule_has_units(value, waits):
    assert list(Settings.read({**GOOD, "UNKNOWN_CHECK_SCHEDULE": value}).check_schedule) == waits


@pytest.mark.parametrize(
    "name, value",
    [
        ("PAYMENTS_SELF_SERVICE", "perhaps"),
        ("PROVIDER_TIMEOUT", 0),
        ("PROVIDER_TIMEOUT", "8"),
        ("PROVIDER_TIMEOUT", 12),
        ("IDEMPOTENCY_TTL", 0),
        ("IDEMPOTENCY_TTL", "1d"),
        ("UNKNOWN_CHECK_SCHEDULE", ""),
        ("UNKNOWN_CHECK_SCHEDULE", None),
        ("UNKNOWN_CHECK_SCHEDULE", 5),
        ("UNKNOWN_CHECK_SCHEDULE", "5m,"),
        ("UNKNOWN_CHECK_SCHEDULE", "0m"),
        ("UNKNOWN_CHECK_SCHEDULE", "5w"),
        ("UNKNOWN_CHECK_SCHEDULE", "9999999d"),
        ("SANDBOX_LATENCY_MS", -1),
    ],
)
def test_a_wrong_value_is_named(name, value):
    with pytest.raises(ConfigError, match=name):
        Settings.read({**GOOD, name: value})


@pytest.mark.parametrize("name", sorted(CONFIG))
def test_a_missing_value_is_named(name):
    with pytest.raises(ConfigError, match=f"{name}: missing"):
        Settings.read({key: value for key, value in GOOD.items() if key != name})


def test_the_values_in_the_file_of_the_project_are_good():
    config = configuration.load("config.yaml", environ={})
    configuration.check(config, CONFIG)
    assert Settings.read(config).provider_timeout == timedelta(seconds=8)


def test_the_ports_are_made_of_the_settings():
    ports = build_ports(GOOD, sessions=lambda: pytest.fail("nothing is asked of the database yet"))
    assert ports.provider.name == "sandbox"
    assert ports.providers == {"sandbox": ports.provider}
    assert ports.reached is faultpoint.reach
    assert ports.rules == Rules(
        self_service=True,
        patience=timedelta(seconds=10),
        answer_ttl=timedelta(days=1),
        check_schedule=(timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)),
        look_time=timedelta(seconds=8),
    )


@pytest.fixture
def ports():
    return build_ports(GOOD, sessions=lambda: pytest.fail("nothing is asked of the database yet"))


def test_the_time_left_is_that_of_the_call(ports):
    with context.using(context.CallContext("a call", deadline=time.monotonic() + 5)):
        assert timedelta(seconds=4) < ports.time_left() <= timedelta(seconds=5)
    with context.using(context.CallContext("a job")):
        assert ports.time_left() > timedelta(hours=1)


@pytest.mark.parametrize("code, is_lost", [("40001", True), ("40P01", True), ("23505", False)])
def test_a_deadlock_and_a_serialization_failure_are_lost_races(ports, code, is_lost):
    class Refused(Exception):
        pgcode = code

    assert ports.lost_race(DBAPIError("UPDATE", {}, Refused())) is is_lost
    assert not ports.lost_race(RuntimeError("no database at all"))


def test_an_adapter_that_raises_is_logged(ports):
    attempt_id, error = new_id(), RuntimeError("a mistake of ours")
    with capture_logs() as lines:
        ports.failed(attempt_id, error)
    assert lines == [
        {
            "event": "provider_adapter_failed",
            "log_level": "error",
            "attempt_id": str(attempt_id),
            "exc_info": error,
        }
    ]

"""Where payments_svc is put together: the only place that knows configuration and adapters at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Self

from lib import config as settings
from lib.config import ConfigError
from lib.database import Sessions
from lib.ids import new_id, utc_now
from payments_svc.application.ports import Ports, Rules
from payments_svc.infrastructure.sandbox import SandboxProvider
from payments_svc.infrastructure.sql import PaymentsUnitOfWork, SqlReads
from payments_svc.infrastructure.tables import map_domain

MARGIN = timedelta(seconds=2)
"""What a request may take beside the provider's time before its process is taken for dead."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_schedule(name: str, value: Any) -> tuple[timedelta, ...]:
    """Return ``5m,1h,1d`` as waits, each from now on; units are s, m, h and d."""
    waits = []
    for each in str(value).split(","):
        match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", each.strip())
        if match is None:
            raise ConfigError(f"{name}: expected waits like 5m,1h,1d, got {value!r}")
        waits.append(timedelta(**{_UNITS[match[2]]: int(match[1])}))
    return tuple(waits)


def schedule(name: str, value: Any) -> None:
    """Waits with a unit, separated by commas."""
    parse_schedule(name, value)


CONFIG: dict[str, settings.Rule] = {
    "PAYMENTS_SELF_SERVICE": settings.switch,
    "PROVIDER_TIMEOUT": settings.seconds(0.1, 120),
    "RPC_TIMEOUT_PAYMENTS": settings.seconds(0.1, 600),
    "IDEMPOTENCY_TTL": settings.integer(1, 366 * 24 * 3600),
    "UNKNOWN_CHECK_SCHEDULE": schedule,
    "SANDBOX_LATENCY_MS": settings.integer(0, 600_000),
}


@dataclass(frozen=True)
class Settings:
    """What the configuration says about payments.

    :param sandbox_latency: how long the sandbox takes for an answer
    """

    self_service: bool
    provider_timeout: timedelta
    idempotency_ttl: timedelta
    check_schedule: tuple[timedelta, ...]
    sandbox_latency: timedelta

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self:
        """Return the settings; raises `ConfigError` for the first that is missing or wrong."""
        for name, rule in CONFIG.items():
            if name not in config:
                raise ConfigError(f"{name}: missing")
            rule(name, config[name])
        if config["PROVIDER_TIMEOUT"] >= config["RPC_TIMEOUT_PAYMENTS"]:
            raise ConfigError(
                "PROVIDER_TIMEOUT: must be below RPC_TIMEOUT_PAYMENTS, or a caller gives up before the provider does"
            )
        return cls(
            self_service=settings.flag(config, "PAYMENTS_SELF_SERVICE"),
            provider_timeout=timedelta(seconds=config["PROVIDER_TIMEOUT"]),
            idempotency_ttl=timedelta(seconds=config["IDEMPOTENCY_TTL"]),
            check_schedule=parse_schedule("UNKNOWN_CHECK_SCHEDULE", config["UNKNOWN_CHECK_SCHEDULE"]),
            sandbox_latency=timedelta(milliseconds=config["SANDBOX_LATENCY_MS"]),
        )


def build_ports(config: Mapping[str, Any], sessions: Sessions) -> Ports:
    """Return the ports of the running service.

    :param sessions: makes a fresh database session
    """
    map_domain()
    chosen = Settings.read(config)
    return Ports(
        unit_of_work=partial(PaymentsUnitOfWork, sessions),
        reads=SqlReads(sessions),
        provider=SandboxProvider(
            sessions,
            now=utc_now,
            latency=chosen.sandbox_latency.total_seconds(),
            timeout=chosen.provider_timeout.total_seconds(),
        ),
        now=utc_now,
        new_id=new_id,
        rules=Rules(
            self_service=chosen.self_service,
            patience=chosen.provider_timeout + MARGIN,
            answer_ttl=chosen.idempotency_ttl,
            check_schedule=chosen.check_schedule,
        ),
    )

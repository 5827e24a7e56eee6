"""Where payments_svc is put together: the only place that knows configuration and adapters at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Self
from uuid import UUID

from lib import config as settings
from lib import context, faultpoint, logs
from lib.config import ConfigError
from lib.database import RETRIED, Sessions, sqlstate
from lib.ids import new_id, utc_now
from payments_svc.application.ports import Ports, Rules
from payments_svc.infrastructure import sandbox_settings
from payments_svc.infrastructure.breaker import Breaker
from payments_svc.infrastructure.sandbox import Latency, SandboxProvider
from payments_svc.infrastructure.sandbox_clock import USUAL_SPREAD
from payments_svc.infrastructure.sandbox_post import SandboxPost
from payments_svc.infrastructure.sql import PaymentsUnitOfWork, SqlReads
from payments_svc.infrastructure.sql_history import SqlHistory
from payments_svc.infrastructure.sql_ledger import SqlBooks
from payments_svc.infrastructure.sql_methods import SqlPaymentMethodReads
from payments_svc.infrastructure.tables import map_domain

MARGIN = timedelta(seconds=2)
"""What a request may take beside the provider's time before its process is taken for dead."""

_LONGEST_CALL = 24 * 3600.0
"""Seconds; of a caller who does not say how long they wait."""

_log = logs.get(__name__)
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
    "LEDGER_BALANCE_METRICS": settings.switch,
    "PROVIDER_BREAKER_FAILURES": settings.integer(1, 1000),
    "PROVIDER_BREAKER_PAUSE": settings.seconds(0.1, 3600),
    **sandbox_settings.RULES,
}


@dataclass(frozen=True)
class Settings:
    """What the configuration says about payments."""

    self_service: bool
    provider_timeout: timedelta
    idempotency_ttl: timedelta
    check_schedule: tuple[timedelta, ...]

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
        )


def _lost_race(error: Exception) -> bool:
    return sqlstate(error) in RETRIED


def _time_left() -> timedelta:
    return timedelta(seconds=context.current().remaining(_LONGEST_CALL))


def _tell(attempt_id: UUID, error: Exception) -> None:
    _log.error("provider_adapter_failed", attempt_id=str(attempt_id), exc_info=error)


def build_sandbox(config: Mapping[str, Any], sessions: Sessions) -> tuple[SandboxProvider, SandboxPost]:
    """Return the provider of our own, and its post."""
    chosen = sandbox_settings.SandboxSettings.read(config)
    sandbox = SandboxProvider(
        sessions,
        now=utc_now,
        latency=Latency(chosen.latency, spread=USUAL_SPREAD, timeout=chosen.timeout),
        terms=chosen.terms,
        secrets=chosen.webhook_secrets,
    )
    post = SandboxPost(sandbox, sessions, url=chosen.webhook_url, secrets=chosen.webhook_secrets, now=utc_now)
    return sandbox, post


def build_ports(config: Mapping[str, Any], sessions: Sessions) -> Ports:
    """Return the ports of the running service.

    :param sessions: makes a fresh database session
    """
    map_domain()
    chosen = Settings.read(config)
    sandbox, post = build_sandbox(config, sessions)
    provider = Breaker(
        sandbox, failures=config["PROVIDER_BREAKER_FAILURES"], pause=float(config["PROVIDER_BREAKER_PAUSE"])
    )
    return Ports(
        unit_of_work=partial(PaymentsUnitOfWork, sessions),
        reads=SqlReads(sessions),
        history=SqlHistory(sessions),
        ledger=SqlBooks(sessions, balances=settings.flag(config, "LEDGER_BALANCE_METRICS")),
        payment_methods=SqlPaymentMethodReads(sessions),
        provider=provider,
        providers={provider.name: provider},
        now=utc_now,
        new_id=new_id,
        rules=Rules(
            self_service=chosen.self_service,
            patience=chosen.provider_timeout + MARGIN,
            answer_ttl=chosen.idempotency_ttl,
            check_schedule=chosen.check_schedule,
            look_time=chosen.provider_timeout,
        ),
        failed=_tell,
        reached=faultpoint.reach,
        lost_race=_lost_race,
        time_left=_time_left,
        simulation=post,
    )

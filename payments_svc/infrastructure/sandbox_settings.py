"""What the operator can set about the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from lib import config as settings
from lib.config import ConfigError
from payments_svc.infrastructure.sandbox_rules import Terms

DEVELOPMENT_SECRET = "sandbox-webhook-secret-change-me-before-production"  # noqa: S105  (refused in production)
OFF = "off"
PATH = "/api/v1/webhooks/sandbox"
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  (compared with, not listened on)


def secrets(name: str, value: Any) -> None:
    """One secret or several, separated by commas. Not shown."""
    if not isinstance(value, str) or not all(each.strip() for each in value.split(",")):
        raise ConfigError(f"{name}: expected secrets, separated by commas")


def address(name: str, value: Any) -> None:
    """An HTTP URL; ``off``; or nothing: the gateway of this machine."""
    if value not in ("", OFF):
        settings.url("http", "https")(name, value)


RULES: dict[str, settings.Rule] = {
    "SANDBOX_LATENCY_MS": settings.integer(0, 600_000),
    "SANDBOX_ASYNC_SECONDS": settings.seconds(0, 86_400),
    "SANDBOX_WEBHOOK_URL": address,
    "SANDBOX_WEBHOOK_SECRET": secrets,
    "AUTHORIZATION_TTL": settings.integer(1, 90 * 86_400),
}


@dataclass(frozen=True)
class SandboxSettings:
    """:param latency: seconds, the median
    :param webhook_url: where messages go; None: nowhere
    :param webhook_secrets: what they are signed with, each
    """

    latency: float
    timeout: float
    terms: Terms
    webhook_url: str | None
    webhook_secrets: tuple[str, ...]

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self:
        """Return the settings, which have passed their rules; raises `ConfigError` for what production refuses."""
        chosen = tuple(each.strip() for each in config["SANDBOX_WEBHOOK_SECRET"].split(","))
        if config["APP_ENV"] == "production" and DEVELOPMENT_SECRET in chosen:
            raise ConfigError("SANDBOX_WEBHOOK_SECRET: the development default is refused in production")
        return cls(
            latency=config["SANDBOX_LATENCY_MS"] / 1000,
            timeout=float(config["PROVIDER_TIMEOUT"]),
            terms=Terms(
                authorization=timedelta(seconds=config["AUTHORIZATION_TTL"]),
                settle_after=timedelta(seconds=config["SANDBOX_ASYNC_SECONDS"]),
            ),
            webhook_url=_url(config),
            webhook_secrets=chosen,
        )


def _url(config: Mapping[str, Any]) -> str | None:
    given: str = config["SANDBOX_WEBHOOK_URL"]
    if given:
        return None if given == OFF else given
    host: str = config["GATEWAY_HOST"]
    host = "127.0.0.1" if host in EVERYWHERE else host
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{config['GATEWAY_PORT']}{PATH}"

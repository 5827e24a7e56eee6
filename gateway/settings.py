"""What the gateway reads from the configuration: checked at the start, parsed once."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import urlsplit

from limits import RateLimitItem, parse, parse_many

from lib import config as configuration
from lib.config import ConfigError, Rule, integer, one_of, seconds, text, url

SERVICES = ("auth_svc", "users_svc", "payments_svc")

#: of a rate: each of those that count is kept in Redis as long as the window is
MOST, LONGEST_WINDOW = 100_000, 86_400

Network = IPv4Network | IPv6Network


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def networks(name: str, value: Any) -> None:
    """IP addresses and networks, separated by commas; may be empty."""
    _networks(name, value)


def _networks(name: str, value: Any) -> tuple[Network, ...]:
    if not isinstance(value, str):
        raise ConfigError(f"{name}: expected networks like 10.0.0.0/8,::1")
    try:
        return tuple(ip_network(item) for item in _items(value))
    except ValueError as exc:
        raise ConfigError(f"{name}: {exc}") from exc


def origins(name: str, value: Any) -> None:
    """Web origins, separated by commas, or ``*``; may be empty."""
    if not isinstance(value, str):
        raise ConfigError(f"{name}: expected origins like https://app.example.com")
    for item in _items(value):
        try:
            parts = urlsplit(item)
        except ValueError as exc:
            raise ConfigError(f"{name}: {item!r} is no origin: {exc}") from exc
        if item != "*" and (parts.scheme not in ("http", "https") or item != f"{parts.scheme}://{parts.netloc}"):
            raise ConfigError(f"{name}: {item!r} is no origin; write it like https://app.example.com")


def rate(name: str, value: Any) -> None:
    """A number within a time."""
    try:
        limits = parse_many(value)
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"{name}: expected a rate like 30/10minute, got {value!r}") from exc
    if len(limits) != 1 or not 0 < limits[0].amount <= MOST or limits[0].get_expiry() > LONGEST_WINDOW:
        raise ConfigError(f"{name}: expected one rate, of 1 to {MOST} within at most a day, got {value!r}")


def optional_text(name: str, value: Any) -> None:
    """A text, maybe empty. Not shown, as it may be a secret."""
    if not isinstance(value, str):
        raise ConfigError(f"{name}: expected a text")


CONFIG: dict[str, Rule] = {
    "GATEWAY_HOST": text,
    "GATEWAY_PORT": integer(1, 65535),
    "GATEWAY_WORKERS": integer(1, 64),
    "GATEWAY_THREADS": integer(1, 512),
    "STREAMS": integer(1, 512),
    "PUBLIC_URL": url("http", "https"),
    "REDIS_URL": url("redis", "rediss", "unix"),
    "RPC_TIMEOUT_PAYMENTS": seconds(0.1, 600),
    "EXPORT_WAIT": seconds(0.1, 600),
    "TRUSTED_PROXIES": networks,
    "CORS_ORIGINS": origins,
    "METRICS_TOKEN": optional_text,
    "RATE_LIMITS": one_of("on", "off"),
    "LOGIN_FAILURES_PER_ADDRESS": rate,
    "LOGIN_FAILURES_GLOBAL": rate,
    "ACCESS_TOKEN_TTL": integer(30, 86_400),
}


def load_config(path: str | os.PathLike[str], environ: MutableMapping[str, str] | None = None) -> dict[str, Any]:
    """Return the checked configuration, without what is nobody's business here: the gateway has no database.

    :raises ConfigError: with one line for the operator
    """
    config = configuration.load(path, environ) | {"DB_URIS": {}, "MIGRATION_DB_URIS": {}}
    configuration.check(config, CONFIG)
    return config


@dataclass(frozen=True)
class Settings:
    """The configuration in the gateway's own types.

    :param public_url: without a slash at its end; never taken from a request's Host header
    :param rpc_timeout: seconds, as all times here
    """

    production: bool
    workers: int
    threads: int
    streams: int
    public_url: str
    redis_url: str = field(repr=False)
    issuer: str
    audience: str
    rpc_timeout: float
    payments_timeout: float
    export_wait: float
    trusted_proxies: tuple[Network, ...]
    cors_origins: frozenset[str]
    metrics_token: str = field(repr=False)
    rate_limits: bool
    login_failures_per_address: RateLimitItem
    login_failures_global: RateLimitItem
    access_token_ttl: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """Read a configuration that `lib.config.check` has passed."""
        return cls(
            production=config["APP_ENV"] == "production",
            workers=config["GATEWAY_WORKERS"],
            threads=config["GATEWAY_THREADS"],
            streams=config["STREAMS"],
            public_url=config["PUBLIC_URL"].rstrip("/"),
            redis_url=config["REDIS_URL"],
            issuer=config["JWT_ISSUER"],
            audience=config["JWT_AUDIENCE"],
            rpc_timeout=float(config["RPC_TIMEOUT"]),
            payments_timeout=float(config["RPC_TIMEOUT_PAYMENTS"]),
            export_wait=float(config["EXPORT_WAIT"]),
            trusted_proxies=_networks("TRUSTED_PROXIES", config["TRUSTED_PROXIES"]),
            cors_origins=frozenset(_items(config["CORS_ORIGINS"])),
            metrics_token=config["METRICS_TOKEN"],
            rate_limits=config["RATE_LIMITS"] == "on",
            login_failures_per_address=parse(config["LOGIN_FAILURES_PER_ADDRESS"]),
            login_failures_global=parse(config["LOGIN_FAILURES_GLOBAL"]),
            access_token_ttl=float(config["ACCESS_TOKEN_TTL"]),
        )

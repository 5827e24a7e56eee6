"""Configuration: read once, checked at the start, wrong means no start.

The file is the one that ``nameko run --config`` reads, with the same substitutions. Two things are stricter here:
a variable without default and without value is an error (stock Nameko makes it null in silence), and `check` looks at
types, ranges and unsafe defaults before anything else starts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

DEFAULT_PATH = "config.yaml"
DEVELOPMENT_SECRET = "development-secret-key-change-me-before-production"  # noqa: S105  (refused in production)
PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^{}]*))?\}")


class ConfigError(Exception):
    """The configuration cannot be used; the message is one line for the operator."""


def _fill(text: str, environ: Mapping[str, str]) -> str:
    def value_of(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = environ.get(name)
        if value is not None:
            return value
        if default is None:
            raise ConfigError(f"environment variable {name} is not set and has no default")
        return default

    return PLACEHOLDER.sub(value_of, text)


def read_secret_files(environ: MutableMapping[str, str], names: Iterable[str]) -> None:
    """Set NAME from the file that NAME_FILE names, as container platforms hand over secrets.

    :param names: whose files are read; the platform's own ``…_FILE`` variables are none of our business
    """
    for target in names:
        name = f"{target}_FILE"
        if name in environ and target not in environ:
            try:
                content = Path(environ[name]).read_text(encoding="utf-8").strip()
            except OSError as exc:
                raise ConfigError(f"{name}: cannot read {environ[name]}: {exc.strerror}") from exc
            except UnicodeDecodeError as exc:
                raise ConfigError(f"{name}: {environ[name]} is not UTF-8 text") from exc
            if "\0" in content:
                raise ConfigError(f"{name}: {environ[name]} is no text")
            environ[target] = content


def load(
    path: str | os.PathLike[str] = DEFAULT_PATH, environ: MutableMapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the configuration as a dict; raises `ConfigError` with one line when it cannot be read.

    :param environ: the environment; a parameter, so that no test patches `os.environ`
    """
    environment = os.environ if environ is None else environ
    try:
        document = Path(path).read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not UTF-8 text") from exc
    read_secret_files(environment, {name for name, _ in PLACEHOLDER.findall(document)})

    class Loader(yaml.SafeLoader):
        """A loader of our own, so that nobody else's YAML changes its meaning."""

    def typed(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        return yaml.safe_load(_fill(str(loader.construct_scalar(node)), environment))

    def raw(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
        return _fill(str(loader.construct_scalar(node)), environment)

    Loader.add_constructor("!env_var", typed)
    Loader.add_constructor("!raw_env_var", raw)
    Loader.add_implicit_resolver("!env_var", re.compile(r".*\$\{.*\}.*"), None)
    try:
        config = yaml.load(document, Loader)  # noqa: S506  (Loader is a SafeLoader)
    except (yaml.YAMLError, ValueError) as exc:
        raise ConfigError(f"{path}: {' '.join(str(exc).split())}") from exc
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: not a mapping")
    return config


# --- checks ---------------------------------------------------------------------------------------------------------

Rule = Callable[[str, Any], None]


def integer(least: int, most: int) -> Rule:
    """A whole number from `least` to `most`."""

    def rule(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigError(f"{name}: expected a whole number from {least} to {most}, got {value!r}")

    return rule


def seconds(least: float, most: float) -> Rule:
    """A number of seconds from `least` to `most`."""

    def rule(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ConfigError(f"{name}: expected seconds from {least} to {most}, got {value!r}")

    return rule


def one_of(*allowed: str) -> Rule:
    """One of a few words."""

    def rule(name: str, value: Any) -> None:
        if value not in allowed:
            raise ConfigError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")

    return rule


def url(*schemes: str) -> Rule:
    """A URL with one of `schemes`. The value itself is never shown: it may hold a password."""

    def rule(name: str, value: Any) -> None:
        if not isinstance(value, str) or _scheme(value) not in schemes:
            raise ConfigError(f"{name}: expected a URL that starts with {' or '.join(s + '://' for s in schemes)}")

    return rule


def _scheme(value: str) -> str | None:
    """Return a URL's scheme; None when host and port cannot be told apart."""
    try:
        parts = urlsplit(value)
        return parts.scheme if parts.port is None or parts.port else None
    except ValueError:
        return None


def text(name: str, value: Any) -> None:
    """A text that is not empty. Not shown, as it may be a secret."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name}: expected a text")


def optional(rule: Rule) -> Rule:
    """What `rule` accepts, or an empty text."""

    def check_unless_empty(name: str, value: Any) -> None:
        if value != "":
            rule(name, value)

    return check_unless_empty


def switch(name: str, value: Any) -> None:
    """1 or 0; null means: on in development, off in production (`flag`)."""
    if value not in (None, True, False, 0, 1, "0", "1"):
        raise ConfigError(f"{name}: expected 1 or 0, got {value!r}")


def retry_delays(name: str, value: Any) -> None:
    """Seconds, separated by commas."""
    delays(name, value)


COMMON: dict[str, Rule] = {
    "APP_ENV": one_of("development", "production"),
    "AMQP_URI": url("amqp", "amqps", "pyamqp"),
    "HEARTBEAT": integer(1, 3600),
    "SERVICE_HTTP_HOST": text,
    "max_workers": integer(1, 1000),
    "EVENT_QUEUE_TYPE": one_of("quorum", "classic"),
    "EVENT_RETRY_DELAYS": retry_delays,
    "EVENT_DELIVERY_LIMIT": integer(1, 1000),
    "SECRET_KEY": text,
    "JWT_ISSUER": text,
    "JWT_AUDIENCE": text,
    "DB_STATEMENT_TIMEOUT": seconds(0.1, 600),
    "DB_POOL_SIZE": integer(1, 1000),
    "OFFLOAD_WAIT": seconds(0.1, 600),
    "RPC_TIMEOUT": seconds(0.1, 600),
    "DRAIN_TIMEOUT": seconds(1, 600),
    "LOG_LEVEL": one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    "LOG_FORMAT": one_of("json", "console"),
}


def check(config: Mapping[str, Any], rules: Mapping[str, Rule] | None = None) -> None:
    """Raise `ConfigError` for the first missing, mistyped or unsafe value.

    :param rules: what one process needs beyond `COMMON`, as a service's ``bootstrap.CONFIG``
    """
    for name, rule in {**COMMON, **(rules or {})}.items():
        if name not in config:
            raise ConfigError(f"{name}: missing")
        rule(name, config[name])
    for section in ("DB_URIS", "MIGRATION_DB_URIS"):
        for name, value in _section(config, section).items():
            url("postgresql+psycopg2")(f"{section}[{name}]", value)
    for name, value in _section(config, "HTTP_PORTS").items():
        integer(0, 65535)(f"HTTP_PORTS[{name}]", value)
    for name, value in _section(config, "WORKERS").items():
        integer(1, 1000)(f"WORKERS[{name}]", value)
    if config["DB_STATEMENT_TIMEOUT"] > config["RPC_TIMEOUT"] - 1:
        # One second more is what a server gets that does not even say that it has stopped the statement.
        raise ConfigError(
            "DB_STATEMENT_TIMEOUT: must be a second below RPC_TIMEOUT, or a caller gives up before its query does"
        )
    if config["APP_ENV"] == "production":
        _check_production(config)


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = config.get(name)
    if not isinstance(section, Mapping):
        raise ConfigError(f"{name}: missing")
    return section


def _check_production(config: Mapping[str, Any]) -> None:
    keys = [key.strip() for key in config["SECRET_KEY"].split(",")]
    if DEVELOPMENT_SECRET in keys:
        raise ConfigError("SECRET_KEY: the development default is refused in production")
    if any(len(key) < 32 for key in keys):
        raise ConfigError("SECRET_KEY: each key needs at least 32 characters in production")
    if config.get("RATE_LIMITS") == "off":
        raise ConfigError("RATE_LIMITS: off is refused in production")
    if not config.get("METRICS_TOKEN"):
        raise ConfigError("METRICS_TOKEN: needed in production")
    if os.environ.get("FAULT_POINT"):
        raise ConfigError("FAULT_POINT: for tests only, refused in production")
    if urlsplit(config["AMQP_URI"]).username in (None, "guest"):
        raise ConfigError("AMQP_URI: the broker's default user is refused in production")
    _refuse_default("AMQP_URI", config["AMQP_URI"])
    for section in ("DB_URIS", "MIGRATION_DB_URIS"):
        for name, value in config[section].items():
            _refuse_default(f"{section}[{name}]", value)


def _refuse_default(name: str, uri: str) -> None:
    """Refuse a password that is the user's name, as all development defaults are."""
    parts = urlsplit(uri)
    if parts.password is not None and parts.password == parts.username:
        raise ConfigError(f"{name}: the development default is refused in production")


def delays(name: str, value: Any) -> tuple[float, ...]:
    """Return ``1,5,30`` as seconds; YAML hands over a single number as a number."""
    try:
        parsed = tuple(float(each) for each in str(value).split(","))
    except ValueError:
        parsed = ()
    if not parsed or any(not 0 < each <= 3600 for each in parsed):
        raise ConfigError(f"{name}: expected seconds like 1,5,30, got {value!r}")
    return parsed


def flag(config: Mapping[str, Any], name: str) -> bool:
    """Return a switch that is on in development and off in production unless it is set."""
    value = config.get(name)
    if value is None:
        return bool(config["APP_ENV"] == "development")
    return str(value) in ("1", "True")

"""Environment variables: the `.env` file, the names that are ours, and files that a shell can source."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.local.console import LocalError

SERVICES = ("auth", "users", "payments")

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# The configuration names of the project. `make test` starts without any of them, `.local/env` remembers those in force.
OURS = re.compile(
    r"""(
      APP_ENV | AMQP_\w+ | POSTGRES_SUPERUSER_URL | (AUTH|USERS|PAYMENTS)_\w+ | REDIS_URL | DB_\w+
    | GATEWAY_\w+ | HTTP_PORT | SERVICE_\w+ | MAX_WORKERS | PUBLIC_URL | MAIL_\w+ | SECRET_KEY | JWT_\w+
    | (ACCESS|REFRESH)_TOKEN_TTL | REFRESH_GRACE | SESSION_IDLE_TTL | RPC_TIMEOUT\w* | PROVIDER_\w+
    | DRAIN_TIMEOUT | INVITATION_TTL | LOCKOUT_\w+ | BREACHED_\w+ | SMTP_\w+ | MAILS_\w+ | LOGIN_\w+ | OFFLOAD_\w+
    | STREAMS | (READ_)?NOTIFICATION\w+ | SOCIAL_\w+ | AUTHORIZATION_TTL | LEDGER_\w+ | EXPORT_WAIT
    | PRIVATE_REGISTRATION | OPEN_INVITATIONS | IDEMPOTENCY_TTL | UNKNOWN_CHECK_SCHEDULE
    | METRICS_TOKEN | OIDC_\w+ | STRIPE_\w+ | SANDBOX_\w+ | RATE_LIMITS | TRUSTED_PROXIES | CORS_ORIGINS
    | LOG_LEVEL | LOG_FORMAT | OTEL_\w+ | EVENT_\w+
    )(_FILE)?""",
    re.VERBOSE,
)

# What the programs around us would silently obey: libpq's settings and those of a broker.
FOREIGN = re.compile(r"PG[A-Z]+|RABBITMQ_\w+|ERL_\w+|ELIXIR_ERL_OPTIONS")

PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")


def is_ours(name: str) -> bool:
    return OURS.fullmatch(name) is not None


def names_in(config: Path) -> set[str]:
    """Return every variable that the configuration file reads, so that a new setting is known here without an edit."""
    try:
        found = set(PLACEHOLDER.findall(config.read_text(encoding="utf-8")))
    except OSError:
        return set()
    return found | {f"{name}_FILE" for name in found}


def scrub(environ: Mapping[str, str], also: Iterable[str] = ()) -> dict[str, str]:
    """Return the environment without any setting of ours or of libpq and RabbitMQ."""
    unwanted = set(also)
    return {
        name: value
        for name, value in environ.items()
        if name not in unwanted and not is_ours(name) and not FOREIGN.fullmatch(name)
    }


def direct(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with this machine's own addresses taken from any HTTP proxy."""
    result = dict(environ)
    for name in ("no_proxy", "NO_PROXY"):
        present = [each for each in result.get(name, "").split(",") if each]
        result[name] = ",".join(dict.fromkeys([*present, "localhost", "127.0.0.1"]))
    return result


def parse(text: str, source: str = ".env") -> dict[str, str]:
    """Read ``NAME=value`` lines: blank lines, comments, ``export``, single and double quotes.

    Single quotes keep everything as it is; double quotes know ``\\n``, ``\\t``, ``\\"``, ``\\$`` and ``\\\\``; without
    quotes the value ends before a `` #``. Nothing is expanded.
    """
    values = {}
    for count, raw in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, separator, value = line.removeprefix("export ").partition("=")
        name = name.strip()
        if not separator or not NAME.fullmatch(name):
            raise LocalError(f"{source}, line {count}: expected NAME=value")
        values[name] = _value(value.strip(), f"{source}, line {count}")
    return values


ESCAPES = {"n": "\n", "t": "\t"}


def _value(text: str, place: str) -> str:
    if text[:1] not in ("'", '"'):
        return "" if text.startswith("#") else re.split(r"\s+#", text, maxsplit=1)[0]
    quote = text[0]
    body = r"[^']*(?:'\\''[^']*)*" if quote == "'" else r'(?:[^"\\]|\\.)*'
    match = re.fullmatch(rf"{quote}({body}){quote}\s*(#.*)?", text)
    if match is None:
        raise LocalError(f"{place}: the closing quote is missing or something follows it")
    if quote == "'":
        return match[1].replace("'\\''", "'")
    return re.sub(r"\\(.)", lambda escape: ESCAPES.get(escape[1], escape[1]), match[1])


def read(path: Path) -> dict[str, str]:
    """Return the values of an environment file; none when there is no such file."""
    try:
        return parse(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        raise LocalError(f"{path.name} cannot be read: {exc}") from exc


def effective(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> dict[str, str]:
    """Return what is in force: the real environment wins over `.env`, and an empty value counts as not set."""
    given = {name: value for name, value in environ.items() if value or not is_ours(name)}
    return {**{name: value for name, value in dotenv.items() if value}, **given}


def number(environ: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a whole number from the environment."""
    value = environ.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
        raise LocalError(f"{name}: expected a whole number from {least} to {most}, got {value!r}")
    return int(value)


def seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    """Return a time from the environment; a value that is no number is the configuration check's business."""
    try:
        return float(environ.get(name) or default)
    except ValueError:
        return default


def write(path: Path, values: Mapping[str, str]) -> None:
    """Write a file for ``set -a; . file; set +a``, readable by its owner alone: it holds passwords."""
    lines = [f"{name}={_quoted(value)}\n" for name, value in sorted(values.items())]
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.chmod(0o600)
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(path)


def _quoted(value: str) -> str:
    # shlex writes a single quote as '"'"'; this form is one that `parse` reads back as well.
    return shlex.quote(value) if "'" not in value else "'" + value.replace("'", "'\\''") + "'"

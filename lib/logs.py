"""Log lines that a machine can search and a person can read, without secrets and card numbers.

Every line, ours or a library's, goes through one chain: the context of the running call is added, secrets and card
numbers are removed, then it is rendered as JSON (``LOG_FORMAT=json``) or for a terminal. Only `tell` takes a short cut.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

from lib import context
from lib.card_numbers import HIDDEN as HIDDEN_NUMBER
from lib.card_numbers import hide_card_numbers, holds_card_number

SECRET_NAMES = re.compile(
    r"(password|passwd|secret|token|authorization|cookie|api[_-]?key|private[_-]?key|credential|recovery_code|otp)",
    re.I,
)
SECRET_VALUES = re.compile(
    r"(?P<jwt>(?<![\w-])eyJ[\w-]{4,}\.[\w-]{4,}\.[\w-]*)"
    r"|(?P<bearer>(?i:bearer\s+)[\w.~+/=-]{8,})"
    r"|(?P<userinfo>(?<=://)[^\s/@:]*:[^\s/]+(?=@))"
    r"|(?P<header>(?i:authorization)[\"']?\s*[=:]\s*)[\"']?\S+(?:\s+\S+)?"
    r"|(?P<name>(?i:(?:password|passwd|secret|api_?key|token)[\"']?\s*[=:]\s*))"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s\"',;)]+)"
    r"|(?P<argon>\$argon2\w*\$[^\s\"']+)"
)
HIDDEN = "[redacted]"
_encode = json.JSONEncoder(default=str).encode
#: what at least one of stands in every text that `SECRET_VALUES` finds something in: most lines hold none
HINTS = ("eyj", "://", "$argon2", "bearer", "passw", "secret", "key", "token", "authorization")
#: whole numbers from here on have as many digits as a card number
LONG_NUMBER = 10**12
#: names that look secret and are not
HARMLESS = frozenset({"token_type", "tokens_checked", "ACCESS_TOKEN_TTL", "REFRESH_TOKEN_TTL"})

_service = "-"
#: where `tell` may write by itself
_lines: TextIO | None = None


def redact(value: Any, name: str = "") -> Any:
    """Return `value` with secrets and card numbers replaced, looking into mappings and lists."""
    if name and name not in HARMLESS and SECRET_NAMES.search(name):
        return HIDDEN
    if isinstance(value, dict):
        return {_name(key): redact(each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact(each) for each in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return HIDDEN_NUMBER if abs(value) >= LONG_NUMBER and holds_card_number(str(value)) else value
    if isinstance(value, set | frozenset):
        return [redact(each) for each in value]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    text = value if isinstance(value, str) else str(value)
    lowered = text.lower()
    if any(hint in lowered for hint in HINTS):
        text = SECRET_VALUES.sub(_hide, text)
    return hide_card_numbers(text)


def _name(key: Any) -> Any:
    return hide_card_numbers(key) if isinstance(key, str) else key


def _hide(found: re.Match[str]) -> str:
    return (found["header"] or found["name"] or "") + HIDDEN


class JsonFormatter(logging.Formatter):
    """One JSON object per line. Written out, because every request and every call passes here."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, dict) and hasattr(record, "_logger"):
            # A structured line: structlog's processors have done the rest.
            return json.dumps(record.msg, default=str)
        line: dict[str, Any] = {
            "timestamp": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": redact(record.msg if isinstance(record.msg, dict) else record.getMessage()),
        }
        _add_context(None, "", line)
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


def _add_context(_logger: Any, _method: str, line: dict[str, Any]) -> dict[str, Any]:
    line.setdefault("service", _service)
    call = context.current_or_none()
    if call is not None:
        line.setdefault("request_id", call.correlation_id)
        if call.actor.id is not None:
            line.setdefault("actor", call.actor.id)
        if call.traceparent is not None:
            line.setdefault("traceparent", call.traceparent)
    return line


def _redact_line(_logger: Any, _method: str, line: dict[str, Any]) -> dict[str, Any]:
    return {name: redact(value, name) for name, value in line.items()}


def configure(*, service: str, level: str = "INFO", fmt: str = "console") -> None:
    """Send every log line of this process to standard output.

    :param service: the name that each line carries
    :param fmt: ``json`` or ``console``
    """
    global _service, _lines  # noqa: PLW0603  (one process is one service)
    _service = service
    _lines = sys.stdout if fmt == "json" else None
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_context,
        structlog.processors.format_exc_info,
        _redact_line,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter()
        if fmt == "json"
        else structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty()),
            ],
        )
    )
    # What no line shows need not be looked up for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Kombu and amqp write a line for every frame below this.
    for noisy in ("amqp", "kombu", "nameko.containers", "nameko.rpc", "urllib3"):
        logging.getLogger(noisy).setLevel(max(logging.INFO, root.level))


def tell(logger: logging.Logger, text: str) -> None:
    """Write a line of level INFO with this text, in the form of all others.

    Past the machinery of `logging`, which takes longer than many a call that a line is about, and without looking for
    secrets: for texts that hold nothing but words and numbers of ours.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    if _lines is None:
        logger.info("%s", text)
        return
    line = {"timestamp": _timestamp(time.time()), "level": "info", "logger": logger.name, "event": text}
    # As `logging` does: nobody is to fail because a line cannot be written.
    with suppress(Exception):
        # One call with the whole line, so that those of several threads do not mix.
        _lines.write(_encode(_add_context(None, "", line)) + "\n")
        _lines.flush()


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def get(name: str) -> Any:
    """Return a structured logger: ``log.info("paid", amount=5)``."""
    return structlog.stdlib.get_logger(name)

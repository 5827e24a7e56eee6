"""What the tests of the files around the code share."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {"auth_svc": 3001, "users_svc": 3002, "payments_svc": 3003}
PROCESSES = ("gateway", *SERVICES)

# `$$` is an escaped dollar sign.
COMPOSE_VARIABLE = re.compile(r"(?<!\$)\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def resolve(text: str) -> str:
    """Return what Docker Compose makes of a value when nothing is set."""
    return COMPOSE_VARIABLE.sub(lambda match: match[2] or "", text).replace("$$", "$")


def check_schema(schema: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Check a file against a schema that comes with the tool."""
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )

"""What the local commands say to the person in front of them."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

_turn = threading.Lock()


class LocalError(Exception):
    """Something did not work out; the message is for the person at the keyboard, one line and perhaps a log's tail."""


def say(text: str) -> None:
    """Print one progress line at once; a reader that went away (``make up | head``) is no reason to fail."""
    try:
        with _turn:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        silence()


def silence() -> None:
    """Send the rest of the output nowhere, so that stopping in an orderly way does not fail on a closed pipe."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log file, indented, ready to stand under an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    last = [line for line in text.splitlines() if line.strip()][-lines:]
    return "".join(f"\n    {line}" for line in last)

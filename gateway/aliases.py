"""Other spellings of the API's paths.

The canonical base is ``/api/v1``. ``/api/…`` and bare paths mean the same, for every route: they are rewritten once,
before routing, so that no route exists twice. The root documents stay at the root. Nothing else is normalised: a path
with ``//``, ``..`` (also as ``%2e%2e``) or other capitals is another path, and not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

BASE = "/api/v1"
ROOT_DOCUMENTS = frozenset({"/health", "/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"})
ROOT_FOLDERS = ("/docs/", "/pages/", "/.well-known/")

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def canonical(path: str) -> str:
    """Return the path that routes are looked up by."""
    if path.startswith(f"{BASE}/") or path in ROOT_DOCUMENTS or path.startswith(ROOT_FOLDERS):
        return path
    if path.startswith("/api/"):
        return BASE + path[4:]
    return BASE + path


class Aliases:
    """WSGI middleware that rewrites the path."""

    def __init__(self, app: Wsgi) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["PATH_INFO"] = canonical(environ["PATH_INFO"])
        return self._app(environ, start_response)

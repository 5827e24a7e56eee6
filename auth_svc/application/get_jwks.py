"""Anybody gets the public keys that access tokens can be checked with."""

from __future__ import annotations

from typing import Any

from auth_svc.application.ports import Ports


def get_jwks(ports: Ports) -> dict[str, Any]:
    return ports.tokens.jwks()

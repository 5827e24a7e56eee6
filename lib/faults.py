"""A domain error on the wire."""

from __future__ import annotations

from typing import Any

from nameko.exceptions import deserialize_to_instance

from lib.errors import DomainError


@deserialize_to_instance  # registered under this module's path, the same on both sides of the wire
class Fault(Exception):
    """What an RPC caller catches when the service refused.

    A stock Nameko client that does not import this module sees a `RemoteError` with ``exc_type`` "Fault".

    :param kind: one of the kinds in `lib.errors`
    :param code: stable, snake_case, for programs
    :param message: for people
    :param details: JSON-able extras
    """

    def __init__(self, kind: str, code: str, message: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(kind, code, message, details or {})  # args are what travels
        self.kind = kind
        self.code = code
        self.message = message
        self.details = details or {}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @classmethod
    def of(cls, error: DomainError) -> Fault:
        return cls(error.kind, error.code, error.message, error.details)

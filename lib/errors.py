"""What can go wrong, in the caller's terms.

A rule that is broken raises a subclass of one of these *kinds*, beside the rule, with a stable ``code``.
The kind decides the HTTP status (`gateway/errors.py`); the code is for clients; the message is for people.
Nothing here knows about RPC or HTTP: `lib.rpc` carries these over the wire as `lib.faults.Fault`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """A refusal that the caller may be told about.

    :param message: one sentence for a person; must hold no secret
    :param details: JSON-able extras for the client (``errors``, ``retry_after`` in seconds, ...)
    """

    kind: ClassVar[str] = "internal"
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str = "", **details: Any) -> None:
        super().__init__(message or self.code.replace("_", " "))
        self.details = details

    @property
    def message(self) -> str:
        return str(self.args[0])


class Malformed(DomainError):
    """The request cannot be read at all (400)."""

    kind, code = "malformed", "malformed"


class Invalid(DomainError):
    """The request can be read but breaks a rule about its content (422)."""

    kind, code = "invalid", "invalid"


class Unauthenticated(DomainError):
    """Nobody has shown who is asking (401)."""

    kind, code = "unauthenticated", "unauthenticated"


class Declined(DomainError):
    """A third party refused, as it may (402)."""

    kind, code = "declined", "declined"


class Forbidden(DomainError):
    """We know who asks, and they may not (403)."""

    kind, code = "forbidden", "forbidden"


class NotFound(DomainError):
    """There is no such thing, or none that the caller may know of (404)."""

    kind, code = "not_found", "not_found"


class Conflict(DomainError):
    """The state of things forbids it now (409)."""

    kind, code = "conflict", "conflict"


class Stale(DomainError):
    """The caller decided on an old version (412)."""

    kind, code = "stale", "stale"


class Limited(DomainError):
    """Too many, too fast (429). Give ``retry_after`` in seconds."""

    kind, code = "limited", "rate_limited"


class Unavailable(DomainError):
    """Something needed is away; nothing was done (503). Give ``retry_after`` in seconds."""

    kind, code = "unavailable", "unavailable"


class Overtaken(Exception):
    """What was read without a lock has changed since, or what was taken for new is not, and nothing was saved:
    read it again, with a lock.

    For use cases; a caller is told that somebody else was at it (`lib.refusals`).
    """


class SeenBefore(Exception):
    """The event was dealt with before, and nothing was saved now."""


class MailUnavailable(Unavailable):
    """The mail cannot be handed over now; a later try may succeed."""

    code = "mail_unavailable"


class MailRefused(DomainError):
    """The mail will never be taken, as for a mailbox that does not exist."""

    code = "mail_refused"


class OutcomeUnknown(Unavailable):
    """It may have happened; ask, or repeat with the same key (503)."""

    code = "outcome_unknown"

"""Messages from providers: what is believed, what is kept, and what became of it.

A message is a hint to look, never a statement about money: whoever looks asks the provider. So it does not matter how
often one comes, nor in which order they come, nor how late.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from lib.aggregate import Aggregate
from lib.card_numbers import hide_card_numbers, holds_card_number
from lib.errors import Conflict, Malformed, NotFound

LONGEST_NAME = 255
"""Characters of what a provider calls a message, and of its kind."""

DEEPEST = 50
"""Levels of objects and lists in a message."""

UNREADABLE = "unreadable"
"""The type of a message that is proved and cannot be read."""


class ProviderNotFound(NotFound):
    code = "provider_not_found"


class NoticeNotFound(NotFound):
    code = "notice_not_found"


class NoticeNotParked(Conflict):
    code = "notice_not_parked"


class InvalidSignature(Malformed):
    """The signature is missing, wrong, too old or from the future: nothing of the message may be believed."""

    code = "invalid_signature"


class InvalidNotice(Malformed):
    """The message is proved to be the provider's, and cannot be read."""

    code = "invalid_notice"


class NoticeStatus(StrEnum):
    RECEIVED = "received"
    PROCESSED = "processed"
    PARKED = "parked"
    DISMISSED = "dismissed"


class ParkedFor(StrEnum):
    """Why nothing could be done about a message, for the operator."""

    UNREADABLE = "unreadable"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_OBJECT = "unknown_object"
    UNKNOWN_PROVIDER = "unknown_provider"
    MONEY_MOVED_FOR_GIVEN_UP_ATTEMPT = "money_moved_for_given_up_attempt"
    """The provider has charged, or is going to, for an attempt whose payment was canceled or charged anew; or it has
    given money back for a refund that is failed or canceled here."""

    @property
    def is_alarm(self) -> bool:
        """Tell whether each such message is a case of its own, never dealt with in a heap."""
        return self is ParkedFor.MONEY_MOVED_FOR_GIVEN_UP_ATTEMPT


@dataclass(frozen=True)
class WebhookReceived:
    """A message is stored and waits to be processed; for payments_svc itself."""

    type: ClassVar[str] = "webhook.received"
    schema_version: ClassVar[int] = 1
    id: str


@dataclass(eq=False)
class StoredNotice(Aggregate):
    """A proved message, as it is kept.

    :param event_id: the provider's id of it, unique for each provider
    :param type: in the provider's words
    :param payload: what it said, without card numbers
    :param attempts: how often it was processed, or tried to be
    :param error: why it is parked, or was until somebody dismissed it
    :param payment_id: the payment that it led to
    :param dismissed_for: why somebody has decided that nothing is to be done about it
    :param correlation_id: of the request that brought it
    """

    id: UUID
    provider: str
    event_id: str
    type: str
    payload: dict[str, Any]
    correlation_id: str
    received_at: datetime
    status: NoticeStatus = NoticeStatus.RECEIVED
    attempts: int = 0
    error: ParkedFor | None = None
    payment_id: UUID | None = None
    processed_at: datetime | None = None
    sequence: int = 0
    dismissed_for: str | None = None

    @property
    def is_one_of_many(self) -> bool:
        """Tell whether it waits for a person who may deal with it together with others."""
        return self.status is NoticeStatus.PARKED and self.error is not None and not self.error.is_alarm

    def ask_for_processing(self) -> None:
        """Have it processed by whoever gets the event: after it was received, or once more."""
        self._enter(NoticeStatus.RECEIVED)
        self.record(WebhookReceived(str(self.id)))

    def begin(self) -> bool:
        """Begin to process it; False if that was done before, or a person has dismissed it."""
        if self.status in (NoticeStatus.PROCESSED, NoticeStatus.DISMISSED):
            return False
        self.attempts += 1
        return True

    def process(self, payment_id: UUID, now: datetime) -> None:
        """What it pointed to was looked at."""
        self._enter(NoticeStatus.PROCESSED)
        self.payment_id, self.processed_at = payment_id, now

    def park(self, reason: ParkedFor, now: datetime, payment_id: UUID | None = None) -> None:
        """Put it aside until a person has it replayed, or dismisses it."""
        self._enter(NoticeStatus.PARKED, reason)
        self.payment_id, self.processed_at = payment_id, now

    def dismiss(self, why: str, now: datetime) -> None:
        """Note that nothing is to be done about it; raises `NoticeNotParked` unless it waits for a person."""
        if self.status is not NoticeStatus.PARKED:
            raise NoticeNotParked(f"the message is {self.status}; only parked ones can be dismissed")
        self._enter(NoticeStatus.DISMISSED, self.error)
        self.dismissed_for, self.processed_at = why, now

    def _enter(self, status: NoticeStatus, error: ParkedFor | None = None) -> None:
        self.status, self.error, self.dismissed_for = status, error, None


def check_name(text: str) -> str:
    """Return what a provider calls a message or its kind; raises `InvalidNotice` if that cannot be kept."""
    if not 1 <= len(text) <= LONGEST_NAME or storable_text(text) != text:
        raise InvalidNotice("a name in the message cannot be kept")
    return text


def storable(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a message says as a database can keep it, without card numbers.

    :raises InvalidNotice: it goes deeper than `DEEPEST`
    """
    return {storable_text(name): _storable(each, 1) for name, each in payload.items()}


def storable_text(text: str) -> str:
    """Return a text without card numbers, and without what PostgreSQL and UTF-8 cannot hold."""
    return hide_card_numbers(_UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text))


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LONG = 10**12


def _storable(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise InvalidNotice("the message goes too deep")
    match value:
        case dict():
            return {storable_text(name): _storable(each, depth + 1) for name, each in value.items()}
        case list():
            return [_storable(each, depth + 1) for each in value]
        case str():
            return storable_text(value)
        case int() if abs(value) >= _LONG and holds_card_number(str(value)):
            return storable_text(str(value))
        case int() | None:
            return value
    # Fractions as text: JSON has no word for all of them, and no amount of ours is one.
    return storable_text(str(value))

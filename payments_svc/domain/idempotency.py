"""Doing a thing once, however often it is asked for.

A claim is the memory of one request: who asked for what with which key. It is written before anything happens, and
lives as long as the payment, so that an old key never charges again. Its attempt id is the key towards the provider:
whoever completes the claim, and however often, asks with the same id, and the provider does the thing once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from hashlib import sha256
from typing import Any, Self
from uuid import UUID

from lib.errors import Conflict, Invalid, Malformed

RETRY_AFTER = 1
"""Seconds after which it is worth asking again about a request that is still running."""


class InvalidIdempotencyKey(Malformed):
    code = "invalid_idempotency_key"


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"


class IdempotencyInProgress(Conflict):
    code = "idempotency_in_progress"

    def __init__(self) -> None:
        super().__init__("the first request with this key is still running", retry_after=RETRY_AFTER)


class ClaimStatus(StrEnum):
    RUNNING = "running"
    DONE = "done"
    RELEASED = "released"


class Step(Enum):
    """What a request with a key has to do."""

    BEGIN = auto()  # nobody has done anything yet
    COMPLETE = auto()  # somebody may have got as far as the provider: ask it before asking for the thing
    REPLAY = auto()  # all is done: give the answer again


def has_left(started_at: datetime, now: datetime, patience: timedelta) -> bool:
    """Tell whether a process that began then is taken for dead.

    Also one that began in the future: the clock was set back since, and waiting for it could take for ever.
    """
    return started_at <= now - patience or started_at > now + patience


def body_hash(body: Mapping[str, Any]) -> str:
    """Return a hash of the arguments that does not depend on their order."""
    try:
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise Malformed("the arguments are no JSON") from exc
    return sha256(text.encode("ascii")).hexdigest()


@dataclass(eq=False)
class Claim:
    """One request with an idempotency key, unique by user, operation and key.

    :param operation: what is asked for, with the payment's id if it is about one
    :param run: counts those who worked on it; a result of any but the last is not written
    :param refund_id: the refund that it is about, if it is about one
    :param answer: what was answered, while it is kept; None if the answer is to be made from the payment
    """

    attempt_id: UUID
    user_id: UUID
    operation: str
    key: str
    body_hash: str
    payment_id: UUID
    refund_id: UUID | None
    started_at: datetime
    finished_at: datetime | None = None
    status: ClaimStatus = ClaimStatus.RUNNING
    run: int = 1
    answer: dict[str, Any] | None = None

    @classmethod
    def open(
        cls,
        *,
        user_id: UUID,
        operation: str,
        key: object,
        body: Mapping[str, Any],
        attempt_id: UUID,
        payment_id: UUID,
        refund_id: UUID | None = None,
        now: datetime,
    ) -> Self:
        if not isinstance(key, str) or not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
            raise InvalidIdempotencyKey("an idempotency key is 1 to 255 visible ASCII characters")
        return cls(
            attempt_id=attempt_id,
            user_id=user_id,
            operation=operation,
            key=key,
            body_hash=body_hash(body),
            payment_id=payment_id,
            refund_id=refund_id,
            started_at=now,
        )

    def admit(self, asked: Claim, *, now: datetime, patience: timedelta, redelivered: bool) -> Step:
        """Return what a request that comes after the first has to do; raise if it has to go away.

        :param asked: the claim that the request would have made
        :param patience: how long the first may take before its process is taken for dead
        :param redelivered: the broker gives the request again because it lost the worker that had it
        """
        if asked.body_hash != self.body_hash:
            raise IdempotencyKeyReused("this key was used for a request with another content")
        if self.status is ClaimStatus.DONE:
            return Step.REPLAY
        if self.status is ClaimStatus.RELEASED:
            return Step.BEGIN
        # Should the first be alive after all, no harm is done: the provider sees one attempt, and `run` one result.
        if not redelivered and not self.is_left(now, patience):
            raise IdempotencyInProgress
        return Step.COMPLETE

    def is_left(self, now: datetime, patience: timedelta) -> bool:
        """Tell whether whoever works on it must be dead."""
        return has_left(self.started_at, now, patience)

    def resume(self, now: datetime, *, refund_id: UUID | None = None) -> int:
        """Work on it once more; return the number of the run.

        :param refund_id: the refund that takes the place of the one that was not executed
        """
        self.status = ClaimStatus.RUNNING
        self.run += 1
        self.started_at = now
        self.refund_id = refund_id or self.refund_id
        return self.run

    def is_held_by(self, run: int) -> bool:
        """Tell whether that run's result is the one to write."""
        return self.status is ClaimStatus.RUNNING and self.run == run

    def finish(self, answer: dict[str, Any] | None, now: datetime) -> None:
        """Note the end.

        :param answer: None if it may still change, so that nothing outdated is repeated
        """
        self.status = ClaimStatus.DONE
        self.answer = answer
        self.finished_at = now

    def release(self) -> None:
        """Let the next request with the key begin again: nothing was executed."""
        self.status = ClaimStatus.RELEASED

    def kept_answer(self, now: datetime, keep: timedelta) -> dict[str, Any] | None:
        """Return the answer unless it is older than `keep`."""
        if self.finished_at is None or now >= self.finished_at + keep:
            return None
        return self.answer

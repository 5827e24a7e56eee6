"""What is told about notifications: the event that wakes streams, and the lines that their clients read.

The lines are those of the HTML standard, section "Server-sent events".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from gateway.answers import encoded

NOTIFICATION_CREATED = "notification.created"
#: bytes
LONGEST_EVENT = 64 * 1024
#: how long clients wait before they come back
RETRY_MS = 2000
#: a comment, so that nobody on the way takes the connection for dead
HEARTBEAT = b":\n\n"


def read_event(body: str | bytes) -> str:
    """Return whose inbox has something new; what is not as agreed raises."""
    if len(body) > LONGEST_EVENT:
        raise ValueError("too long")
    envelope = json.loads(body)
    if envelope["type"] != NOTIFICATION_CREATED:
        raise ValueError("another type")
    account = envelope["data"]["user_id"]
    if not isinstance(account, str):
        raise TypeError("no id")
    return str(UUID(account))


def opening(position: int) -> bytes:
    """Return the first lines. The id is there for a client that loses its connection before there was anything."""
    return b"retry: %d\nid: %d\n\n" % (RETRY_MS, position)


def message(notification: Mapping[str, Any]) -> bytes:
    """Return one notification. JSON holds no line breaks, so it is one line."""
    return b"id: %d\nevent: notification\ndata: %b\n\n" % (notification["number"], encoded(notification))


def ending(reason: str) -> bytes:
    """Return the last lines. They have no id: the client resumes after the last notification."""
    return b"event: end\ndata: %b\n\n" % encoded({"reason": reason})

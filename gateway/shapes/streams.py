"""Streams of server-sent events."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import USER_ID, WHEN, Schema, text

COMPONENTS: dict[str, Schema] = {
    "NotificationStream": text(description="Events, comments and empty lines (HTML standard, server-sent events)"),
}

EXAMPLES: dict[str, Any] = {
    "NotificationStream": (
        "retry: 2000\nid: 17\n\n"
        "id: 18\nevent: notification\n"
        f'data: {{"id":"{USER_ID}","number":18,"type":"payment_succeeded","data":{{}},"actor":null,'
        f'"created_at":"{WHEN}","read_at":null}}\n\n'
        ":\n\n"
        'event: end\ndata: {"reason":"token_expired"}\n\n'
    ),
}

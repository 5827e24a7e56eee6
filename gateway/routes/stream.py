"""Live notifications: server-sent events."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flask import Response, g, request

from gateway.answers import NO_STORE
from gateway.bearer import signed_in
from gateway.feed import PAGE, Feed
from gateway.openapi import EVENT_STREAM, Routes, operation
from gateway.rpc import services
from gateway.state import gateway
from lib.errors import Malformed

blueprint = Routes("stream", __name__, url_prefix="/api/v1/users", description="Live notifications")

_NUMBER = re.compile("[0-9]{1,15}")


class InvalidLastEventId(Malformed):
    code = "invalid_last_event_id"


@blueprint.get("/notifications/stream")
@operation(gives=(200, "NotificationStream"), events=True, token=True, errors={404: ("user_not_found",)})
@signed_in
def stream_notifications() -> Response:
    """Listen to the own notifications

    Server-sent events. Each notification is an event `notification` whose `id` is its number and whose `data` is what
    `GET /users/notifications` shows; they come within a second, in order, none twice. A client that comes back sends
    the last id as `Last-Event-ID` and misses nothing. After 15 seconds without anything else a comment comes.

    The stream ends with an event `end` whose `reason` is `token_expired`, `session_ended`, `too_long` (after at most an
    hour), `shutting_down`, `refused` or `failed`. Then, as after every broken connection, come back with a good access
    token.
    """
    position = _position()
    if request.method == "HEAD":
        return _stream(())
    own, call = gateway(), g.call
    # Before the first question: what comes after its answer rings the bell.
    place = own.streams.enter(call.actor.id)
    try:
        news = services().users_svc.notifications_after(user_id=call.actor.id, number=position, limit=PAGE)
        # A number that was never given is one of another database: from now on.
        start = news["last"] if position is None else min(position, news["last"])
        return _stream(Feed(own, place, call, position=start, news=news))
    except BaseException:
        place.leave()
        raise


def _position() -> int | None:
    """Return the number of the last notification that the client has; None if it does not say."""
    given = request.environ.get("HTTP_LAST_EVENT_ID")
    if given is None:
        return None
    if not _NUMBER.fullmatch(given):
        raise InvalidLastEventId("Last-Event-ID is the id of an event: a number")
    return int(given)


def _stream(chunks: Iterable[bytes]) -> Response:
    # The last one is for nginx, which would collect the lines.
    headers = {"Cache-Control": NO_STORE, "X-Accel-Buffering": "no"}
    return Response(chunks, content_type=EVENT_STREAM, headers=headers)

"""Notifications."""

from __future__ import annotations

from typing import Any

from flask import Response, g
from marshmallow import validate

from gateway.answers import answer, nothing
from gateway.bearer import signed_in
from gateway.fields import SAFE_INTEGER, Choice, PageQuery, Shape, Whole
from gateway.inputs import body, query
from gateway.openapi import Routes, operation
from gateway.rpc import services

blueprint = Routes("notifications", __name__, url_prefix="/api/v1/users", description="Notifications")

NOTIFICATION_NOT_FOUND = ("notification_not_found",)


class NotificationQuery(PageQuery):
    unread = Choice("true", "false", load_default="false", metadata={"description": "Leave out those that are read"})


class SeenSoFar(Shape):
    up_to = Whole(
        validate=validate.Range(min=0, max=SAFE_INTEGER, error="out_of_range: from {min} to {max}"),
        metadata={"minimum": 0, "description": "The newest `number` that was seen; all, if it is not there"},
    )


NOTIFICATION_QUERY, SEEN_SO_FAR = NotificationQuery(), SeenSoFar()


@blueprint.get("/notifications")
@operation(gives=(200, "NotificationPage"), query=NOTIFICATION_QUERY, token=True)
@signed_in
@query(NOTIFICATION_QUERY)
def list_notifications(data: dict[str, Any]) -> Response:
    """List the own notifications, newest first

    `number` counts from 1 in the order in which they came; `unread` is how many of all are unread. `actor` is null
    where nobody did it, and where they are not there (any more) for whoever looks. Old ones go by themselves: what was
    read after 90 days, all after a year, and all but the newest 1,000, unless the operator has other wishes.
    """
    unread_only = data.pop("unread") == "true"
    return answer(services().users_svc.list_notifications(user_id=g.call.actor.id, unread_only=unread_only, **data))


@blueprint.post("/notifications/<id:notification_id>/read")
@operation(gives=(204, None), token=True, errors={404: NOTIFICATION_NOT_FOUND})
@signed_in
def mark_notification_read(notification_id: str) -> Response:
    """Mark a notification as read

    Once more changes nothing. What is read in time is not mailed, but for notices of the account's security.
    """
    services().users_svc.mark_notification_read(user_id=g.call.actor.id, notification_id=notification_id)
    return nothing()


@blueprint.post("/notifications/read-all")
@operation(gives=(204, None), takes=SEEN_SO_FAR, example={"up_to": 17}, body_required=False, token=True)
@signed_in
@body(SEEN_SO_FAR, required=False)
def mark_all_notifications_read(data: dict[str, Any]) -> Response:
    """Mark all notifications as read

    With `up_to`, what came after that one stays unread: it may not have been seen yet.
    """
    services().users_svc.mark_all_notifications_read(user_id=g.call.actor.id, **data)
    return nothing()


@blueprint.delete("/notifications/<id:notification_id>")
@operation(gives=(204, None), token=True, errors={404: NOTIFICATION_NOT_FOUND})
@signed_in
def delete_notification(notification_id: str) -> Response:
    """Delete a notification"""
    services().users_svc.delete_notification(user_id=g.call.actor.id, notification_id=notification_id)
    return nothing()

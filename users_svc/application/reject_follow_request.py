"""Somebody does not want a follower."""

from __future__ import annotations

from users_svc.application.change_connection import change_connection
from users_svc.application.ports import Ports
from users_svc.domain.connection import Connection


def reject_follow_request(ports: Ports, *, user_id: str, requester_id: str) -> None:
    """Drop the request of the requester, who does not get to know. Without a request there is nothing to do.

    Raises `NotOneself`, `UserNotFound`.
    """
    change_connection(ports, user_id=user_id, other_id=requester_id, act=Connection.reject)

"""Somebody accepts a follower."""

from __future__ import annotations

from users_svc.application.change_connection import change_connection
from users_svc.application.ports import Ports
from users_svc.domain.connection import Connection


def accept_follow_request(ports: Ports, *, user_id: str, requester_id: str) -> None:
    """Let the requester follow. Of one who follows already it is true already.

    Raises `NotOneself`, `UserNotFound`, `FollowRequestNotFound`.
    """
    change_connection(ports, user_id=user_id, other_id=requester_id, act=Connection.accept)

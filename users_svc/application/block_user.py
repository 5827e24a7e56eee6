"""Somebody does not want to have to do with somebody else."""

from __future__ import annotations

from users_svc.application.change_connection import change_connection
from users_svc.application.ports import Ports
from users_svc.domain.connection import Connection


def block_user(ports: Ports, *, user_id: str, target_id: str) -> None:
    """End the follows, requests and mute between the two, and be nobody to the target from now on.

    Raises `NotOneself`, `UserNotFound`.
    """
    change_connection(ports, user_id=user_id, other_id=target_id, act=Connection.block)

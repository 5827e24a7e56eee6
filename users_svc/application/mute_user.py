"""Somebody wants to hear no more of somebody else."""

from __future__ import annotations

from users_svc.application.change_connection import change_connection
from users_svc.application.ports import Ports
from users_svc.domain.connection import Connection


def mute_user(ports: Ports, *, user_id: str, target_id: str) -> None:
    """Mute the target, who does not get to know.

    Raises `NotOneself`, `UserNotFound`.
    """
    change_connection(ports, user_id=user_id, other_id=target_id, act=Connection.mute)

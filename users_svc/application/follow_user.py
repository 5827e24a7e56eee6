"""Somebody follows somebody else."""

from __future__ import annotations

from users_svc.application.change_connection import change_connection
from users_svc.application.ports import Ports
from users_svc.domain.connection import Connection


def follow_user(ports: Ports, *, user_id: str, target_id: str) -> None:
    """Follow the target, or ask to, where they choose their followers. Twice is once.

    Raises `NotOneself`, `UserNotFound`, `Blocking`.
    """
    change_connection(ports, user_id=user_id, other_id=target_id, act=Connection.follow)

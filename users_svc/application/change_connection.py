"""Somebody does something to somebody else: what all such acts have in common."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from users_svc.application.open_profile import profile_of
from users_svc.application.ports import Ports
from users_svc.domain.connection import Connection, check_not_oneself
from users_svc.domain.profile import UserNotFound, parse_user_id


def change_connection(ports: Ports, *, user_id: str, other_id: str, act: Callable[[Connection], None]) -> None:
    """Let `user_id` act on what is between the two, while nobody else can change it.

    Raises `NotOneself`; `UserNotFound` if there is no such user, or none that `user_id` can see.
    """
    acting, other = parse_user_id(user_id), parse_user_id(other_id)
    check_not_oneself(acting, other)
    if not _change(ports, acting, other, act):
        # The news of the account have not come yet. They are asked for outside of the transaction.
        profile_of(ports, ports.identities.get_account(acting))
        if not _change(ports, acting, other, act):
            raise UserNotFound("there is no such user")


def _change(ports: Ports, acting: UUID, other: UUID, act: Callable[[Connection], None]) -> bool:
    with ports.unit_of_work() as uow:
        connection = uow.connections.between(acting, other)
        if connection is None:
            return False
        act(connection)
        if connection.changed:
            # The id is made under the lock, so that the edges at one person have ids in the order of their making.
            uow.connections.save(connection, edge_id=ports.new_id(), now=ports.now())
            uow.commit()
    return True

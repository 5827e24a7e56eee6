"""Where users_svc is put together: the only place that knows configuration and adapters at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from lib import config as settings
from lib.ids import new_id, utc_now
from users_svc.application.ports import Ports
from users_svc.infrastructure.rpc_identities import RpcIdentities
from users_svc.infrastructure.sql import UsersUnitOfWork
from users_svc.infrastructure.tables import map_domain

CONFIG: dict[str, settings.Rule] = {"OPEN_INVITATIONS": settings.switch}


def build_ports(config: Mapping[str, Any], sessions: Callable[[], Session], auth: Any) -> Ports:
    """Return the ports of the running service.

    :param sessions: makes a fresh database session
    :param auth: a client of auth_svc that acts as the system
    """
    map_domain()
    return Ports(
        unit_of_work=partial(UsersUnitOfWork, sessions),
        identities=RpcIdentities(auth),
        now=utc_now,
        new_id=new_id,
        open_invitations=settings.flag(config, "OPEN_INVITATIONS"),
    )

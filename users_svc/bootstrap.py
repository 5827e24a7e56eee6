"""Where users_svc is put together: the only place that knows configuration and adapters at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from lib import config as settings
from lib import mail
from lib.database import Sessions
from lib.ids import new_id, utc_now
from lib.secret_key import derived_keys
from users_svc.application.notification_ports import Mailer
from users_svc.application.ports import Ports
from users_svc.infrastructure.connection_lists import SqlConnectionReader
from users_svc.infrastructure.mail.rendering import NotificationRenderer
from users_svc.infrastructure.people import SqlPeople
from users_svc.infrastructure.rpc_identities import RpcIdentities
from users_svc.infrastructure.sql import SqlProfileReader, UsersUnitOfWork
from users_svc.infrastructure.sql_notifications import SqlNotificationReader
from users_svc.infrastructure.sql_preferences import SqlPreferenceReader
from users_svc.infrastructure.sql_search import SqlSearch
from users_svc.infrastructure.tables import map_domain
from users_svc.infrastructure.unsubscribe_tokens import PURPOSE, HmacUnsubscribeTokens

CONFIG: dict[str, settings.Rule] = {"OPEN_INVITATIONS": settings.switch, **mail.RULES}


def build_mailer(config: Mapping[str, Any]) -> Mailer:
    """Return what mails leave by; raises `ConfigError` if in production they would not arrive."""
    renderer = NotificationRenderer(mail.Sender.parse(config["MAIL_FROM"]), config["PUBLIC_URL"], utc_now)
    return mail.build_mailer(config, renderer, now=utc_now)


def build_ports(config: Mapping[str, Any], sessions: Sessions, auth: Any) -> Ports:
    """Return the ports of the running service.

    :param sessions: makes a fresh database session
    :param auth: a client of auth_svc that acts as the system
    """
    map_domain()
    return Ports(
        unit_of_work=partial(UsersUnitOfWork, sessions),
        profiles=SqlProfileReader(sessions),
        people=SqlPeople(sessions),
        connections=SqlConnectionReader(sessions),
        preferences=SqlPreferenceReader(sessions),
        unsubscribe_tokens=HmacUnsubscribeTokens(derived_keys(config["SECRET_KEY"], PURPOSE)),
        notifications=SqlNotificationReader(sessions),
        mailer=build_mailer(config),
        search=SqlSearch(sessions),
        identities=RpcIdentities(auth),
        now=utc_now,
        new_id=new_id,
        open_invitations=settings.flag(config, "OPEN_INVITATIONS"),
    )

"""Where users_svc is put together: the only place that knows configuration and adapters at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from lib import config as settings
from lib import mail
from lib.database import Sessions
from lib.ids import new_id, utc_now
from lib.secret_key import derived_keys
from users_svc.application.notification_ports import Mailer
from users_svc.application.ports import Ports
from users_svc.domain.notification_rules import LEAST_KEPT, NotificationRules
from users_svc.infrastructure.connection_lists import SqlConnectionReader
from users_svc.infrastructure.mail.rendering import NotificationRenderer
from users_svc.infrastructure.mail.tally import PrometheusMailTally
from users_svc.infrastructure.people import SqlPeople
from users_svc.infrastructure.rpc_identities import RpcIdentities
from users_svc.infrastructure.sql import SqlProfileReader, UsersUnitOfWork
from users_svc.infrastructure.sql_notifications import SqlNotificationReader
from users_svc.infrastructure.sql_preferences import SqlPreferenceReader
from users_svc.infrastructure.sql_search import SqlSearch
from users_svc.infrastructure.sql_search_index import SqlSearchIndexes
from users_svc.infrastructure.tables import map_domain
from users_svc.infrastructure.unsubscribe_tokens import PURPOSE, HmacUnsubscribeTokens

DAY = 86_400

CONFIG: dict[str, settings.Rule] = {
    "OPEN_INVITATIONS": settings.switch,
    "NOTIFICATION_TTL": settings.integer(DAY, 3650 * DAY),
    "READ_NOTIFICATION_TTL": settings.integer(DAY, 3650 * DAY),
    "NOTIFICATIONS_KEPT": settings.integer(LEAST_KEPT, 1_000_000),
    "SOCIAL_MAILS_PER_HOUR": settings.integer(0, 1_000),
    **mail.RULES,
}


def notification_rules(config: Mapping[str, Any]) -> NotificationRules:
    """Return what the operator has set about notifications. Times are whole seconds in the configuration."""
    return NotificationRules(
        kept=timedelta(seconds=config["NOTIFICATION_TTL"]),
        read_kept=timedelta(seconds=config["READ_NOTIFICATION_TTL"]),
        most=config["NOTIFICATIONS_KEPT"],
        social_mails_per_hour=config["SOCIAL_MAILS_PER_HOUR"],
    )


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
        notification_rules=notification_rules(config),
        mailer=build_mailer(config),
        mail_tally=PrometheusMailTally(),
        search=SqlSearch(sessions),
        search_indexes=SqlSearchIndexes(sessions),
        identities=RpcIdentities(auth),
        now=utc_now,
        new_id=new_id,
        open_invitations=settings.flag(config, "OPEN_INVITATIONS"),
    )

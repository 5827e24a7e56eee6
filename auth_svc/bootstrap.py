"""Composition root: the only place of auth_svc that sees the configuration and picks the adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Self

from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.application.ports import Mailer, Ports, Rules
from auth_svc.domain.lockout import LockoutPolicy
from auth_svc.domain.session import RefreshPolicy
from auth_svc.domain.signing_key import SigningKey
from auth_svc.infrastructure import secret_key
from auth_svc.infrastructure.argon2 import Argon2Hasher
from auth_svc.infrastructure.audit import AuditWriter, origin_of_call
from auth_svc.infrastructure.audit_log import SqlAuditLog
from auth_svc.infrastructure.breached_passwords import NoBreachedPasswords, RangeApi
from auth_svc.infrastructure.common_passwords import common_passwords
from auth_svc.infrastructure.device_tokens import HmacDeviceTokens, HmacLoginKeys
from auth_svc.infrastructure.keys import Es256KeyMaker, KeyRing
from auth_svc.infrastructure.mail.rendering import MailRenderer
from auth_svc.infrastructure.mail_tokens import HmacOneTimeTokens
from auth_svc.infrastructure.purge import SqlOldRows
from auth_svc.infrastructure.reads import SqlReads
from auth_svc.infrastructure.refresh_tokens import HmacRefreshTokens
from auth_svc.infrastructure.sql import AuthUnitOfWork
from auth_svc.infrastructure.subject_keys import SubjectKeys
from auth_svc.infrastructure.tables import map_domain
from auth_svc.infrastructure.tokens import JwtTokens
from auth_svc.infrastructure.user_agents import device_of
from lib import mail
from lib.config import ConfigError, Rule, integer, one_of, optional, switch, url
from lib.database import Sessions
from lib.ids import new_id, new_id_after, utc_now
from lib.offload import offload

DAY = 86_400

#: what this service needs in the configuration besides what all services need; checked at the start
CONFIG: dict[str, Rule] = {
    "ACCESS_TOKEN_TTL": integer(30, DAY),
    "REFRESH_TOKEN_TTL": integer(60, 3650 * DAY),
    "REFRESH_GRACE": integer(0, 300),
    "SESSION_IDLE_TTL": integer(60, 3650 * DAY),
    "LOCKOUT_ATTEMPTS": integer(1, 100),
    "LOCKOUT_WINDOW": integer(1, DAY),
    "MAILS_PER_HOUR": integer(1, 1000),
    "INVITATION_TTL": integer(60, 3650 * DAY),
    "PRIVATE_REGISTRATION": switch,
    "BREACHED_PASSWORDS_URL": optional(url("http", "https")),
    "RATE_LIMITS": one_of("on", "off"),
    **mail.RULES,
}


@dataclass(frozen=True)
class Settings:
    """What the operator can set. Times are whole seconds in the configuration."""

    secret_key: str = field(repr=False)
    issuer: str
    audience: str
    refresh_policy: RefreshPolicy
    rules: Rules
    breach_url: str

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Read the settings from the configuration that `lib.config` has loaded and checked.

        :raises ConfigError: two of them do not fit together
        """
        if config["REFRESH_GRACE"] <= config["RPC_TIMEOUT"]:
            raise ConfigError(
                "REFRESH_GRACE: must be longer than RPC_TIMEOUT, or a repeated request ends its own session"
            )
        limited = config["RATE_LIMITS"] == "on"
        lockout = LockoutPolicy(
            attempts=config["LOCKOUT_ATTEMPTS"] if limited else None, window=_seconds(config["LOCKOUT_WINDOW"])
        )
        return cls(
            secret_key=config["SECRET_KEY"],
            issuer=config["JWT_ISSUER"],
            audience=config["JWT_AUDIENCE"],
            refresh_policy=RefreshPolicy(
                lifetime=_seconds(config["REFRESH_TOKEN_TTL"]),
                idle=_seconds(config["SESSION_IDLE_TTL"]),
                grace=_seconds(config["REFRESH_GRACE"]),
            ),
            rules=Rules(
                private_registration=str(config["PRIVATE_REGISTRATION"]) in ("1", "True"),
                lockout=lockout,
                mails_per_hour=config["MAILS_PER_HOUR"] if limited else None,
                invitation_lifetime=_seconds(config["INVITATION_TTL"]),
                access_token_lifetime=_seconds(config["ACCESS_TOKEN_TTL"]),
            ),
            breach_url=config["BREACHED_PASSWORDS_URL"],
        )


def _seconds(number: int) -> timedelta:
    return timedelta(seconds=number)


def build_mailer(config: Mapping[str, Any]) -> Mailer:
    """Return what mails leave by; raises `ConfigError` if in production they would not arrive."""
    renderer = MailRenderer(mail.Sender.parse(config["MAIL_FROM"]), config["PUBLIC_URL"], utc_now)
    # A server that falls silent must not hold all workers.
    places = max(1, min(mail.PLACES, config.get("WORKERS", {}).get("auth_svc", 160) // 2))
    return mail.build_mailer(config, renderer, now=utc_now, places=places)


def build_ports(config: Mapping[str, Any], sessions: Sessions) -> Ports:
    """Return the ports of a running service. Touches neither database nor network.

    :param sessions: makes a fresh SQLAlchemy session
    """
    map_domain()
    settings = Settings.of(config)

    def keys_for(purpose: str) -> Sequence[bytes]:
        return secret_key.derived_keys(settings.secret_key, purpose)

    def load_keys() -> Sequence[SigningKey]:
        return ensure_signing_key(ports)

    seal = secret_key.seal_with(settings.secret_key, secret_key.SIGNING_KEYS)
    subject_keys = SubjectKeys(secret_key.seal_with(settings.secret_key, secret_key.SUBJECT_KEYS))
    ports = Ports(
        unit_of_work=partial(AuthUnitOfWork, sessions, AuditWriter(subject_keys, origin_of_call)),
        reads=SqlReads(sessions, subject_keys),
        hasher=Argon2Hasher(offload),
        tokens=JwtTokens(
            KeyRing(load_keys, seal), settings.issuer, settings.audience, settings.rules.access_token_lifetime, new_id
        ),
        refresh_tokens=HmacRefreshTokens(keys_for(secret_key.REFRESH_TOKENS)),
        refresh_policy=settings.refresh_policy,
        key_maker=Es256KeyMaker(seal),
        common_passwords=common_passwords(),
        breached_passwords=RangeApi(settings.breach_url) if settings.breach_url else NoBreachedPasswords(),
        one_time_tokens=HmacOneTimeTokens(keys_for(secret_key.ONE_TIME_TOKENS)),
        device_tokens=HmacDeviceTokens(keys_for(secret_key.DEVICE_TOKENS)),
        login_keys=HmacLoginKeys(keys_for(secret_key.LOGIN_KEYS)),
        mailer=build_mailer(config),
        audit_log=SqlAuditLog(sessions, subject_keys),
        old_rows=SqlOldRows(sessions),
        rules=settings.rules,
        origin=origin_of_call,
        device_name=device_of,
        now=utc_now,
        new_id=new_id,
        new_session_id=new_id_after,
    )
    return ports

"""Composition root: the only place of auth_svc that sees the configuration and picks the adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Self

from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.application.ports import Ports
from auth_svc.domain.session import RefreshPolicy
from auth_svc.domain.signing_key import SigningKey
from auth_svc.infrastructure import secret_key
from auth_svc.infrastructure.argon2 import Argon2Hasher
from auth_svc.infrastructure.common_passwords import common_passwords
from auth_svc.infrastructure.keys import Es256KeyMaker, KeyRing
from auth_svc.infrastructure.refresh_tokens import HmacRefreshTokens
from auth_svc.infrastructure.sql import AuthUnitOfWork
from auth_svc.infrastructure.tables import map_domain
from auth_svc.infrastructure.tokens import JwtTokens
from lib.config import Rule, integer
from lib.database import Sessions
from lib.ids import new_id, utc_now
from lib.offload import offload

DAY = 86_400

#: what this service needs in the configuration besides what all services need; checked at the start
CONFIG: dict[str, Rule] = {
    "ACCESS_TOKEN_TTL": integer(30, DAY),
    "REFRESH_TOKEN_TTL": integer(60, 3650 * DAY),
    "REFRESH_GRACE": integer(0, 300),
    "SESSION_IDLE_TTL": integer(60, 3650 * DAY),
}


@dataclass(frozen=True)
class Settings:
    """What the operator can set. Times are whole seconds in the configuration."""

    secret_key: str = field(repr=False)
    issuer: str
    audience: str
    access_token_lifetime: timedelta
    refresh_policy: RefreshPolicy

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Read the settings from the configuration that `lib.config` has loaded and checked."""
        return cls(
            secret_key=config["SECRET_KEY"],
            issuer=config["JWT_ISSUER"],
            audience=config["JWT_AUDIENCE"],
            access_token_lifetime=timedelta(seconds=config["ACCESS_TOKEN_TTL"]),
            refresh_policy=RefreshPolicy(
                lifetime=timedelta(seconds=config["REFRESH_TOKEN_TTL"]),
                idle=timedelta(seconds=config["SESSION_IDLE_TTL"]),
                grace=timedelta(seconds=config["REFRESH_GRACE"]),
            ),
        )


def build_ports(config: Mapping[str, Any], sessions: Sessions) -> Ports:
    """Return the ports of a running service. Touches neither database nor network.

    :param sessions: makes a fresh SQLAlchemy session
    """
    map_domain()
    settings = Settings.of(config)
    seal = secret_key.seal_with(settings.secret_key, secret_key.SIGNING_KEYS)

    def load_keys() -> Sequence[SigningKey]:
        return ensure_signing_key(ports)

    ports = Ports(
        unit_of_work=partial(AuthUnitOfWork, sessions),
        hasher=Argon2Hasher(offload),
        tokens=JwtTokens(
            KeyRing(load_keys, seal), settings.issuer, settings.audience, settings.access_token_lifetime, new_id
        ),
        refresh_tokens=HmacRefreshTokens(secret_key.derived_keys(settings.secret_key, secret_key.REFRESH_TOKENS)),
        refresh_policy=settings.refresh_policy,
        key_maker=Es256KeyMaker(seal),
        common_passwords=common_passwords(),
        now=utc_now,
        new_id=new_id,
    )
    return ports

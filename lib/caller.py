"""Who is calling: the access token that came with a call, verified here and not where it came from.

AMQP headers are not authenticated, and neither is a gateway in the eyes of a service. So each service checks the token
against the issuer's public keys and derives the actor from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eventlet import sleep
from nameko.extensions import DependencyProvider, Extension

from lib import context
from lib.broker import Broker, timeout_of
from lib.context import ANONYMOUS, SYSTEM, Actor
from lib.provide import Provide
from lib.tokens import AccessTokenVerifier, InvalidToken

REFRESH_EVERY, RETRY_EVERY = 150.0, 0.5


class RpcJwks(Extension):
    """The issuer's public keys, asked for by RPC: ``RpcJwks("issuer_svc", "get_jwks")``."""

    broker = Broker()

    def __init__(self, service: str, method: str) -> None:
        self._service = service
        self._method = method

    def client(self) -> Callable[[], Mapping[str, Any]]:
        timeout = min(2.0, timeout_of(self.container.config))
        view = self.broker.view(self._service, timeout=timeout, as_system=True)
        method: Callable[[], Mapping[str, Any]] = getattr(view, self._method)
        return method


class Caller(DependencyProvider):
    """``caller = Caller(jwks=RpcJwks("issuer_svc", "get_jwks"))``, or in the issuer itself a function of its ports.

    :param jwks: where the public keys come from
    """

    def __init__(self, jwks: RpcJwks | Callable[[Any], Mapping[str, Any]]) -> None:
        self.jwks = jwks
        self._verifier: AccessTokenVerifier | None = None
        self._keeper: Any = None

    def setup(self) -> None:
        config = self.container.config
        source = self.jwks.client() if isinstance(self.jwks, RpcJwks) else self._from_ports
        self._verifier = AccessTokenVerifier(source, issuer=config["JWT_ISSUER"], audience=config["JWT_AUDIENCE"])

    def start(self) -> None:
        self._keeper = self.container.spawn_managed_thread(self._keep, identifier="keys")

    def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.kill()

    def _keep(self) -> None:
        """Have the keys here before the first token, and fresh ones before the old ones are stale."""
        while True:
            if self._verifier is not None:
                self._verifier.keys.refresh()
            sleep(REFRESH_EVERY if self.ready else RETRY_EVERY)

    @property
    def ready(self) -> bool:
        """True once there are keys to check tokens with."""
        return self._verifier is not None and self._verifier.keys.loaded

    def _from_ports(self) -> Mapping[str, Any]:
        provider = next(each for each in self.container.dependencies if isinstance(each, Provide))
        assert not isinstance(self.jwks, RpcJwks)  # noqa: S101  (for the type checker)
        return self.jwks(provider.ports)

    def get_dependency(self, worker_ctx: Any) -> Actor:
        """Give the method its actor as ``self.caller``."""
        return context.current().actor

    def actor(self, headers: Mapping[str, Any]) -> tuple[Actor, str | None]:
        """Return who acts according to a message's headers, and the token that proves it.

        :raises InvalidToken: there is a token, and it is not good
        """
        token = headers.get(context.ACCESS_TOKEN)
        if token is None:
            return (ANONYMOUS if headers.get(context.ACTOR) == ANONYMOUS.kind else SYSTEM), None
        if not isinstance(token, str) or self._verifier is None:
            raise InvalidToken("the access token cannot be read")
        claims = self._verifier.verify(token)
        return (
            Actor(
                "account",
                id=claims["sub"],
                roles=frozenset(claims.get("roles", ())),
                session_id=claims["sid"],
                claims=claims,
            ),
            token,
        )


def caller_of(container: Any) -> Caller | None:
    """Return the container's `Caller`, or None: then tokens cannot be checked, and calls that carry one are refused."""
    return next((each for each in container.dependencies if isinstance(each, Caller)), None)


def actor_without_keys(headers: Mapping[str, Any]) -> tuple[Actor, str | None]:
    """Return who acts in a service that has no `Caller`."""
    if headers.get(context.ACCESS_TOKEN) is not None:
        raise InvalidToken("this service cannot check access tokens")
    return (ANONYMOUS if headers.get(context.ACTOR) == ANONYMOUS.kind else SYSTEM), None

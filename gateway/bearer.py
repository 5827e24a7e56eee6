"""Who asks: the access token of the request (RFC 6750), verified against the issuer's public keys (RFC 9068).

No RPC per request: the keys are a copy that is kept fresh beside the requests (`KeyKeeper`), and asked for again when
a token names a key that is not in it; so is what has been revoked (`gateway.revocations`). While there is no copy at
all, the answer is 503 and not 401.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any

from flask import g, request

from gateway.revocations import Snapshot
from gateway.state import Cluster, gateway
from lib import context, logs
from lib.context import ANONYMOUS, Actor, CallContext, NotSignedIn
from lib.errors import Unavailable
from lib.tokens import AccessTokenVerifier, InvalidToken, KeySet

log = logs.get("gateway.bearer")

View = Callable[..., Any]

KEYS_TIMEOUT = 2.0
SNAPSHOT_TIMEOUT = 5.0
REFRESH_EVERY = 60.0
RETRY_EVERY = 0.25

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)


def verifier(cluster: Cluster, *, issuer: str, audience: str) -> AccessTokenVerifier:
    """Return the process's verifier, with keys by RPC from auth_svc."""

    def fetch() -> Mapping[str, Any]:
        keys: Mapping[str, Any] = cluster.view(_nobody(), timeout=KEYS_TIMEOUT).auth_svc.get_jwks()
        return keys

    return AccessTokenVerifier(fetch, issuer=issuer, audience=audience)


def snapshots(cluster: Cluster) -> Callable[[str | None], Snapshot]:
    """Return what fetches a page of what is revoked by RPC from auth_svc."""

    def fetch(cursor: str | None) -> Snapshot:
        view = cluster.view(_nobody(), timeout=SNAPSHOT_TIMEOUT)
        page: Snapshot = view.auth_svc.get_revocations(cursor=cursor)
        return page

    return fetch


def _nobody() -> CallContext:
    return CallContext(correlation_id=context.new_correlation_id(), actor=ANONYMOUS)


def signed_in(view: View) -> View:
    """Let only requests with a valid access token through; ``g.call.actor`` is who asks."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not _identify():
            raise NotSignedIn("this needs an access token (Authorization: Bearer …)")
        return view(*args, **kwargs)

    return wrapper


def maybe_signed_in(view: View) -> View:
    """Let requests without a token through, too. A token that is no good is refused all the same."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        _identify()
        return view(*args, **kwargs)

    return wrapper


def _identify() -> bool:
    """Put the caller into the request's context; False if the request does not say who calls."""
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return False
    match = _BEARER.fullmatch(header)
    if match is None:
        raise InvalidToken("the Authorization header holds no bearer token")
    token = match.group(1)
    own = gateway()
    own.revocations.demand()
    claims = own.tokens.verify(token)
    subject, session = claims["sub"], claims["sid"]
    own.revocations.check(subject, session)
    roles = frozenset(claims.get("roles", ()))
    actor = Actor("account", id=subject, roles=roles, session_id=session, claims=claims)
    g.call = replace(g.call, actor=actor, access_token=token)
    context.enter(g.call)
    return True


class KeyKeeper(threading.Thread):
    """Keeps the copy of the keys fresh, so that no request has to wait for that."""

    def __init__(self, keys: KeySet) -> None:
        super().__init__(name="key-keeper", daemon=True)
        self._keys = keys
        self._stopping = threading.Event()

    def run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            self._keys.refresh()
            pause = REFRESH_EVERY if has_keys(self._keys) else RETRY_EVERY

    def stop(self) -> None:
        self._stopping.set()


def has_keys(keys: KeySet) -> bool:
    """True once there is a copy of the keys."""
    try:
        return bool(keys.document["keys"])
    except Unavailable:
        return False

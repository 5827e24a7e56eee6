"""Access tokens: who is asking, provable with nothing but the issuer's public keys.

Asymmetric JSON Web Tokens as RFC 9068 profiles them, checked as RFC 8725 asks: the algorithms are ours and not the
token's, the type, issuer and audience must match, and keys and key URLs inside the token are ignored. A token can be
written in one way only: no padding, no name twice, no claim of another type than everybody expects.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from jwt import PyJWK

from lib.errors import Unauthenticated, Unavailable

ALGORITHMS = ("ES256",)
TOKEN_TYPE = "at+jwt"  # noqa: S105  (RFC 9068, section 2.1)
REQUIRED = ["exp", "iat", "iss", "aud", "sub", "sid", "jti"]
#: characters
LONGEST = 8192
#: seconds from `iat` to `exp`: no mistake of an issuer, or of its clock, makes a token that lives for ever
LONGEST_LIFE = 24 * 3600
#: the year 10000, in seconds since 1970: what is beyond cannot be reckoned with
LATEST = 253_402_300_800
CACHED_TOKENS = 4096

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

Jwks = Mapping[str, Any]


class InvalidToken(Unauthenticated):
    code = "invalid_token"


class KeysUnavailable(Unavailable):
    """No public key has ever been loaded, so nobody can be told apart: 503, never 401."""

    code = "keys_unavailable"


class KeySet:
    """The issuer's public keys: a last-known copy, refreshed when a new key id shows up.

    :param fetch: returns the issuer's JWKS document; may raise
    :param cool_down: seconds between two fetches that key ids can cause that the issuer does not know, either
    :param max_age: seconds after which the copy is refreshed, so that a withdrawn key stops being trusted
    """

    def __init__(self, fetch: Callable[[], Jwks], *, cool_down: float = 5.0, max_age: float = 300.0) -> None:
        self._fetch = fetch
        self._cool_down = cool_down
        self._max_age = max_age
        self._keys: dict[str, PyJWK] = {}
        self._sources: dict[str, Any] = {}
        self._document: Jwks | None = None
        self._fetched_at = -float("inf")
        self._tried_at = -float("inf")
        self._failed = False
        self._lock = threading.Lock()

    @property
    def loaded(self) -> bool:
        return self._document is not None

    @property
    def document(self) -> Jwks:
        """The JWKS document; raises `KeysUnavailable` if there never was one."""
        if self._document is None or time.monotonic() - self._fetched_at > self._max_age:
            # With a copy at hand nobody waits for whoever is already asking.
            self.refresh(wait=self._document is None)
        if self._document is None:
            raise KeysUnavailable("the keys to check tokens with are not here yet", retry_after=1)
        return self._document

    def refresh(self, *, wait: bool = True, wanted: str | None = None) -> None:
        """Fetch the keys, unless somebody just did; a failure keeps the last-known copy.

        :param wait: if another thread is fetching them now, return when it has them
        :param wanted: the id of a key without which there is no need to
        """
        if not self._lock.acquire(blocking=wait):
            return
        try:
            never = self._document is None
            if wanted in self._keys:
                return
            if time.monotonic() - self._tried_at < (0.2 if never else self._cool_down):
                return
            try:
                document = self._fetch()
                sources = _usable(document)
            except Exception:
                self._failed = True
                if not never:
                    # Trust the copy for another round rather than lock everybody out while the issuer is away.
                    self._fetched_at = time.monotonic() - self._max_age + self._cool_down
            else:
                # A key that has not changed stays the same object: tokens that it has proved need no new proof.
                self._keys = {
                    key_id: self._keys[key_id]
                    if self._sources.get(key_id) == source
                    else PyJWK(source, algorithm=ALGORITHMS[0])
                    for key_id, source in sources.items()
                }
                self._sources, self._document, self._fetched_at = sources, document, time.monotonic()
                self._failed = False
            finally:
                # Counted from the end: who has waited for this try does not start another.
                # Only ids that are made up must not have us ask again and again; the next one may be new, too.
                self._tried_at = -float("inf") if wanted in self._keys else time.monotonic()
        finally:
            self._lock.release()

    def find(self, key_id: str) -> PyJWK | None:
        """Return the key, or None if the issuer has no such key."""
        _ = self.document
        key = self._keys.get(key_id)
        if key is None:
            self.refresh(wanted=key_id)
            key = self._keys.get(key_id)
            if key is None and self._failed:
                raise KeysUnavailable("the keys to check this token with are not here yet", retry_after=1)
        return key


def _usable(document: Jwks) -> dict[str, Any]:
    """Return the document's keys that we can use, by id; raises whatever is wrong when there is none."""
    usable: dict[str, Any] = {}
    for each in document["keys"]:
        try:
            PyJWK(each, algorithm=ALGORITHMS[0])
            usable[each["kid"]] = each
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, AttributeError):
            continue
    if not usable:
        raise LookupError("no usable key")
    return usable


class AccessTokenVerifier:
    """Checks access tokens against a `KeySet`. Thread-safe.

    A token that was good a moment ago is not verified again while its key is still published: the signature check is
    most of the cost of a small request. Expiry is checked every time.
    """

    def __init__(self, jwks: Callable[[], Jwks], *, issuer: str, audience: str, leeway: float = 10.0) -> None:
        self.keys = KeySet(jwks)
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._seen: OrderedDict[str, tuple[PyJWK, Mapping[str, Any]]] = OrderedDict()

    def verify(self, token: str) -> Mapping[str, Any]:
        """Return the token's claims.

        :raises InvalidToken: whatever is wrong with it
        :raises KeysUnavailable: the issuer could not be asked for its keys, ever
        """
        known = self._seen.get(token)
        if known is not None and self.keys.find(str(known[0].key_id)) is known[0]:
            if known[1]["exp"] + self._leeway > time.time():
                return known[1]
            raise InvalidToken("the access token has expired", reason="expired")
        key, claims = self._check(token)
        self._seen[token] = (key, claims)
        while len(self._seen) > CACHED_TOKENS:
            self._seen.popitem(last=False)
        return claims

    def _check(self, token: str) -> tuple[PyJWK, Mapping[str, Any]]:
        if len(token) > LONGEST:
            raise InvalidToken("the access token is too long")
        if _COMPACT.fullmatch(token) is None:
            raise InvalidToken("the access token cannot be read")
        head, payload, _ = token.split(".")
        header = _object(head)
        key_id = header.get("kid")
        kind = header.get("typ")
        if not isinstance(key_id, str) or not isinstance(kind, str) or kind.lower() != TOKEN_TYPE or "crit" in header:
            raise InvalidToken("this is not an access token")
        key = self.keys.find(key_id)
        if key is None:
            raise InvalidToken("the access token was signed with an unknown key")
        try:
            jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
                options={"require": REQUIRED},
            )
        except jwt.ExpiredSignatureError as exc:
            raise InvalidToken("the access token has expired", reason="expired") from exc
        except jwt.InvalidTokenError as exc:
            raise InvalidToken("the access token is not valid") from exc
        claims = _object(payload)
        _check_types(claims)
        return key, claims


def _object(part: str) -> dict[str, Any]:
    """Return a token's part, a JSON object; of a name that stands twice, readers take different ones."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name stands twice")
        return found

    try:
        text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        value = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as exc:
        raise InvalidToken("the access token cannot be read") from exc
    if not isinstance(value, dict):
        raise InvalidToken("the access token cannot be read")
    return value


def _check_types(claims: Mapping[str, Any]) -> None:
    """Refuse claims that would be taken for something else further on: text for a list of roles, text for a number."""
    for name in ("sub", "sid"):
        if not isinstance(claims[name], str) or not claims[name]:
            raise InvalidToken("the access token is not valid")
    for name in ("exp", "iat", "nbf"):
        moment = claims.get(name, 0)
        if isinstance(moment, bool) or not isinstance(moment, int | float) or not 0 <= moment < LATEST:
            raise InvalidToken("the access token is not valid")
    if claims["exp"] - claims["iat"] > LONGEST_LIFE:
        raise InvalidToken("the access token is not valid")
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(each, str) for each in roles):
        raise InvalidToken("the access token is not valid")

"""Every route of accounts, as a table, and what is wrong with requests: the tests' cases come from here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.shapes import EXAMPLES
from tests.unit.gateway.conftest import SESSION_ID, USER_ID, Issuer

OTHER_ID = "0198a3f2-9999-7d4a-9b57-2f4c8e6a1d03"
PASSWORD = "SecurePass123!"
FORM = "application/x-www-form-urlencoded"
CLIENT = {"client_id": "c1", "client_secret": "s3cret"}
REASON = {"reason": "The owner lost the mailbox"}
ME = {"user_id": USER_ID}
HERE = {**ME, "session_id": SESSION_ID}
NO_STORE, PRIVATE = "no-store", "private, no-cache"


@dataclass(frozen=True)
class Route:
    """One route, with a request that is good and what becomes of it.

    :param rpc: the method of auth_svc that is called
    :param calls: with these arguments
    :param answers: what the fake service says
    :param gives: what the client gets; None: nothing
    :param optional: members of the body that may be missing
    :param role: that the account has to have
    """

    method: str
    path: str
    rpc: str
    calls: Mapping[str, Any]
    answers: Any
    status: int = 200
    gives: Any = None
    body: Mapping[str, Any] | None = None
    optional: frozenset[str] = frozenset()
    form: bool = False
    signed_in: bool = False
    role: str | None = None
    cache: str = NO_STORE
    pages: bool = False
    query: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def url(self) -> str:
        return f"/api/v1{self.path}"

    def headers(self, issuer: Issuer) -> dict[str, str]:
        """Return the headers of somebody who may ask."""
        if not self.signed_in:
            return {}
        return {"Authorization": f"Bearer {issuer.token(roles=[self.role] if self.role else [])}"}

    def send(self, client: FlaskClient, headers: Mapping[str, str] | None = None, **changes: Any) -> TestResponse:
        """Send the good request, with changes as the test client's arguments."""
        request: dict[str, Any] = {"method": self.method, "headers": headers, "query_string": self.query}
        if self.form:
            request |= {"data": self.body, "content_type": FORM}
        elif self.body is not None:
            request["json"] = self.body
        if {"data", "json"} & set(changes):
            request = {name: value for name, value in request.items() if name not in ("data", "json", "content_type")}
        return client.open(self.url, **request | changes)


def _anyone(path: str, rpc: str, body: Mapping[str, Any], answers: Any, status: int = 200, **more: Any) -> Route:
    return Route("POST", path, rpc, more.pop("calls", body), answers, status, body=body, **more)


def _admin(method: str, path: str, rpc: str, calls: Mapping[str, Any], answers: str, **more: Any) -> Route:
    more = {"cache": NO_STORE if "body" in more else PRIVATE, "gives": EXAMPLES[answers]} | more
    return Route(method, f"/admin{path}", rpc, calls, EXAMPLES[answers], signed_in=True, role="admin", **more)


SIGNED_IN, TOKENS, ADMIN_ACCOUNT = EXAMPLES["SignedIn"], EXAMPLES["Tokens"], EXAMPLES["AdminAccount"]
VERIFIED, NEW_ADDRESS = EXAMPLES["VerificationResult"], EXAMPLES["NewAddress"]
REGISTRATION = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann"}
CREDENTIALS = {"email": "ann@example.com", "password": PASSWORD, "device_token": "dt_1"}
ADDRESS_CHANGE = {"new_email": "ann@example.org", "current_password": PASSWORD}
PASSWORD_CHANGE = {"current_password": PASSWORD, "new_password": "another long one"}
RESET = {"token": "prt_1", "new_password": "another long one"}
CLAIM = {"token": "clt_1", "password": "another long one"}
ROLES = {"roles": ["user", "support"], **REASON}
TOKEN_FORM = {**CLIENT, "token": "rt_1", "token_type_hint": "refresh_token"}
ACCOUNT, ACCOUNTS = f"/accounts/{OTHER_ID}", "/accounts"
FIRST_PAGE = {"limit": 20}

ROUTES = [
    _anyone("/auth/register", "register", REGISTRATION, SIGNED_IN, 201, gives=SIGNED_IN),
    _anyone("/auth/login", "login", CREDENTIALS, SIGNED_IN, gives=SIGNED_IN, optional=frozenset({"device_token"})),
    _anyone("/auth/refresh", "refresh", {"refresh_token": "rt_1"}, TOKENS, gives=TOKENS),
    Route("POST", "/auth/logout", "logout", {**HERE, "scope": "local"}, {}, 204, signed_in=True),
    Route(
        "GET",
        "/auth/me",
        "get_account",
        ME,
        EXAMPLES["Account"],
        gives=EXAMPLES["Account"],
        signed_in=True,
        cache=PRIVATE,
    ),
    Route(
        "GET",
        "/auth/sessions",
        "list_sessions",
        HERE,
        EXAMPLES["SessionList"],
        gives=EXAMPLES["SessionList"],
        signed_in=True,
        cache=PRIVATE,
    ),
    Route(
        "DELETE",
        f"/auth/sessions/{OTHER_ID}",
        "end_session",
        {**ME, "session_id": OTHER_ID},
        {},
        204,
        signed_in=True,
    ),
    Route("POST", "/auth/email/verification", "request_email_verification", ME, {}, 202, {}, signed_in=True),
    _anyone("/auth/email/verify", "verify_email", {"token": "evt_1"}, VERIFIED, gives=VERIFIED),
    _anyone(
        "/auth/email/change",
        "change_email",
        ADDRESS_CHANGE,
        {},
        202,
        gives={},
        calls={**ME, **ADDRESS_CHANGE},
        signed_in=True,
    ),
    _anyone("/auth/email/change/confirm", "confirm_email_change", {"token": "ect_1"}, NEW_ADDRESS, gives=NEW_ADDRESS),
    _anyone("/auth/email/change/revert", "revert_email_change", {"token": "ert_1"}, NEW_ADDRESS, gives=NEW_ADDRESS),
    _anyone("/auth/claim", "claim_account", CLAIM, SIGNED_IN, gives=SIGNED_IN),
    _anyone("/auth/password/forgot", "forgot_password", {"email": "ann@example.com"}, {}, 202, gives={}),
    _anyone("/auth/password/reset", "reset_password", RESET, {}, 204),
    _anyone(
        "/auth/password/change",
        "change_password",
        PASSWORD_CHANGE,
        {},
        204,
        calls={**HERE, **PASSWORD_CHANGE},
        signed_in=True,
    ),
    _anyone(
        "/auth/introspect",
        "introspect_token",
        TOKEN_FORM,
        EXAMPLES["Introspection"],
        gives=EXAMPLES["Introspection"],
        form=True,
    ),
    _anyone("/auth/revoke", "revoke_token", TOKEN_FORM, {}, gives={}, form=True),
    Route(
        "GET",
        "/auth/security-events",
        "list_security_events",
        {**ME, **FIRST_PAGE},
        EXAMPLES["SecurityEventPage"],
        gives=EXAMPLES["SecurityEventPage"],
        signed_in=True,
        cache=PRIVATE,
        pages=True,
    ),
    _admin("GET", ACCOUNTS, "list_accounts", FIRST_PAGE, "AdminAccountPage", pages=True),
    _admin("GET", ACCOUNT, "get_account", {"user_id": OTHER_ID}, "AdminAccount"),
    _admin(
        "POST",
        f"{ACCOUNT}/disable",
        "disable_account",
        {"account_id": OTHER_ID, **REASON},
        "AdminAccount",
        body=REASON,
    ),
    _admin(
        "POST", f"{ACCOUNT}/enable", "enable_account", {"account_id": OTHER_ID, **REASON}, "AdminAccount", body=REASON
    ),
    _admin("PUT", f"{ACCOUNT}/roles", "set_roles", {"account_id": OTHER_ID, **ROLES}, "AdminAccount", body=ROLES),
    _admin("GET", f"{ACCOUNT}/sessions", "list_sessions", {"user_id": OTHER_ID}, "SessionList"),
    _admin(
        "DELETE",
        f"{ACCOUNT}/sessions",
        "end_account_sessions",
        {"account_id": OTHER_ID, **REASON},
        "AdminAccount",
        body=REASON,
    ),
    _admin("GET", "/audit", "list_audit_events", FIRST_PAGE, "AuditEventPage", pages=True),
]
JSON_ROUTES = [each for each in ROUTES if each.body is not None and not each.form]
FORM_ROUTES = [each for each in ROUTES if each.form]


def wrong_bodies(body: Mapping[str, Any], optional: frozenset[str]) -> Iterator[tuple[str, Any, list[tuple[str, str]]]]:
    """Yield what can be wrong with a JSON body: a name, the body, and where it is wrong and how."""
    for member, good in body.items():
        pointer = f"/{member}"
        wrong: list[tuple[str, Any, str]] = [
            ("number", 5, "invalid_type"),
            ("zero", 0, "invalid_type"),
            ("bool", True, "invalid_type"),
            ("object", {"a": "b"}, "invalid_type"),
            ("null", None, "required"),
        ]
        if isinstance(good, list):
            wrong += [("text", "x", "invalid_type"), ("long", ["x"] * 1025, "too_long")]
            for name, item, code in (
                ("number", 5, "invalid_type"),
                ("null", None, "required"),
                ("list", ["x"], "invalid_type"),
                ("long", "x" * 1025, "too_long"),
                ("nul", "a\0b", "invalid_characters"),
            ):
                yield f"{member}-item-{name}", {**body, member: [*good, item]}, [(f"{pointer}/{len(good)}", code)]
        else:
            wrong += [
                ("list", ["x"], "invalid_type"),
                ("long", "x" * 1025, "too_long"),
                ("nul", "a\0b", "invalid_characters"),
            ]
        for name, value, code in wrong:
            yield f"{member}-{name}", {**body, member: value}, [(pointer, code)]
        if member not in optional:
            rest = {key: value for key, value in body.items() if key != member}
            # With nothing left, it is the whole that lacks something where one of several members would do.
            yield f"{member}-missing", rest, [(pointer, "required"), ("", "required")]
    for name, value in (("admin", True), ("user_id", USER_ID), ("roles_", ["admin"])):
        yield f"unknown-{name}", {**body, name: value}, [(f"/{name}", "unknown_field")]

"""Accounts, sessions, what is written down about them, and what programs are told about tokens."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, SESSION_ID, TIME, USER_ID, WHEN, Schema, list_of, maybe, page_of, ref, text, thing

TOKEN = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9…"  # noqa: S105  (an example)
ADMIN_ID = "0198a3f0-0b5d-7a10-8c44-91d3c7e2f508"
RECORD_ID = "0198a3f6-2f10-7b3c-9d21-6a0e4c8b7f15"
REQUEST_ID = "5f0c2d9ab1e84b3c9d7e6a5f4c3b2a10"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

STATUSES = ("active", "invited", "disabled")
ROLES = ("user", "support", "finance", "admin")

BOOLEAN = {"type": "boolean"}
SECONDS = {"type": "integer", "description": "Seconds since 1970"}
USER = {"id": ID, "email": text(), "name": text(), "email_verified": BOOLEAN, "created_at": TIME}
ACCOUNT = {
    **USER,
    "status": text(enum=list(STATUSES)),
    "roles": {"type": "array", "items": text()},
}
#: who did it and from where, as far as that is known
ORIGIN = {
    "session_id": maybe(format="uuid"),
    "ip": maybe(),
    "user_agent": maybe(),
    "request_id": maybe(description="As in the answer's `X-Request-ID`"),
}
RECORD = {
    "id": text(),
    "kind": text(description="What happened, as in `login.succeeded` or `password.changed`"),
    "outcome": text(description="`success` or `failure`"),
    "occurred_at": TIME,
    **ORIGIN,
    "details": {"type": "object"},
}

COMPONENTS: dict[str, Schema] = {
    "Empty": {"type": "object", "description": "Nothing to say"},
    "User": thing(**USER),
    "Tokens": thing(
        access_token=text(description="A JWT for the header `Authorization: Bearer …`"),
        refresh_token=text(description="Works once; POST /auth/refresh gives the next pair"),
        token_type=text(const="Bearer"),
        expires_in={"type": "integer", "description": "Seconds that the access token is good for"},
    ),
    "SignedIn": {
        "allOf": [
            ref("Tokens"),
            thing(
                ["user"],
                user=ref("User"),
                device_token=text(
                    description="Keep it and send it with the next login: a known device is not locked out by others"
                ),
            ),
        ]
    },
    "Account": thing(**ACCOUNT),
    "Session": thing(
        id=ID,
        device=maybe(description="Read from the user agent: `Firefox on Linux`, or `unknown`"),
        user_agent=maybe(),
        ip=maybe(description="Where it was last used from"),
        created_at=TIME,
        last_seen_at=TIME,
        current={**BOOLEAN, "description": "Whether it is the session that asks"},
    ),
    "SessionList": list_of("Session"),
    "VerificationResult": thing(status=text(enum=["verified", "already_verified"])),
    "NewAddress": thing(email=text(description="The account's address from now on")),
    "Introspection": thing(
        ["active"],
        active={
            **BOOLEAN,
            "description": "False for every token that is not good, whatever the reason; then it is all",
        },
        token_type=text(description="`Bearer` for an access token, or `refresh_token`"),
        sub=text(description="The account's id"),
        sid=text(description="The session's id"),
        iss=text(),
        aud={"type": ["string", "array"], "items": text()},
        jti=text(),
        iat=SECONDS,
        exp=SECONDS,
        auth_time=SECONDS,
        roles={"type": "array", "items": text()},
        amr={"type": "array", "items": text()},
        email_verified=BOOLEAN,
    ),
    "SecurityEvent": thing(**RECORD, device=maybe(description="Read from the user agent")),
    "SecurityEventPage": page_of("SecurityEvent"),
    "AdminAccount": thing(
        list(ACCOUNT),
        **ACCOUNT,
        disabled_reason=maybe(description="What the administrator wrote who disabled it; nobody else is told"),
        last_login_at=maybe(format="date-time"),
    ),
    "AdminAccountPage": page_of("AdminAccount"),
    "AuditEvent": thing(
        [*RECORD, "account_id", "actor_kind", "actor_id"],
        **RECORD,
        account_id=maybe(description="Whom it was done to"),
        actor_kind=text(enum=["account", "anonymous", "system"]),
        actor_id=maybe(description="Who did it; null if that is nobody we know"),
        reason=maybe(description="What an administrator gave as the reason"),
        device=maybe(description="Read from the user agent"),
        personal={"type": "object", "description": "What else is known; gone once the account's key is erased"},
    ),
    "AuditEventPage": page_of("AuditEvent"),
}

USER_EXAMPLE = {
    "id": USER_ID,
    "email": "ann@example.com",
    "name": "Ann Example",
    "email_verified": False,
    "created_at": WHEN,
}
TOKENS_EXAMPLE = {"access_token": TOKEN, "refresh_token": "lrt_…", "token_type": "Bearer", "expires_in": 900}
ACCOUNT_EXAMPLE = {**USER_EXAMPLE, "status": "active", "roles": []}
SESSION_EXAMPLE = {
    "id": SESSION_ID,
    "device": "Firefox on Linux",
    "user_agent": BROWSER,
    "ip": "192.0.2.7",
    "created_at": WHEN,
    "last_seen_at": WHEN,
    "current": True,
}
SECURITY_EVENT_EXAMPLE: dict[str, Any] = {
    "id": RECORD_ID,
    "kind": "login.failed",
    "outcome": "failure",
    "occurred_at": WHEN,
    "session_id": None,
    "ip": "192.0.2.7",
    "user_agent": BROWSER,
    "device": "Firefox on Linux",
    "request_id": REQUEST_ID,
    "details": {},
}
ADMIN_ACCOUNT_EXAMPLE = {**ACCOUNT_EXAMPLE, "disabled_reason": None, "last_login_at": WHEN}
AUDIT_EVENT_EXAMPLE: dict[str, Any] = {
    "id": RECORD_ID,
    "kind": "account.disabled",
    "outcome": "success",
    "occurred_at": WHEN,
    "account_id": USER_ID,
    "actor_kind": "account",
    "actor_id": ADMIN_ID,
    "session_id": SESSION_ID,
    "ip": "192.0.2.9",
    "user_agent": BROWSER,
    "device": "Firefox on Linux",
    "request_id": REQUEST_ID,
    "reason": "The owner lost the mailbox",
    "details": {},
    "personal": {},
}

EXAMPLES: dict[str, Any] = {
    "Empty": {},
    "User": USER_EXAMPLE,
    "Tokens": TOKENS_EXAMPLE,
    "SignedIn": {"user": USER_EXAMPLE, **TOKENS_EXAMPLE, "device_token": "ldt_…"},
    "Account": ACCOUNT_EXAMPLE,
    "Session": SESSION_EXAMPLE,
    "SessionList": {"data": [SESSION_EXAMPLE]},
    "VerificationResult": {"status": "verified"},
    "NewAddress": {"email": "ann@example.org"},
    "Introspection": {
        "active": True,
        "token_type": "Bearer",
        "sub": USER_ID,
        "sid": SESSION_ID,
        "iss": "http://localhost:3000",
        "aud": "leveret",
        "jti": "0198a3f7-77aa-7e02-8b31-4f9c1d2e6a58",
        "iat": 1769860800,
        "exp": 1769861700,
        "auth_time": 1769860800,
        "roles": [],
        "amr": ["pwd"],
        "email_verified": True,
    },
    "SecurityEvent": SECURITY_EVENT_EXAMPLE,
    "SecurityEventPage": {"data": [SECURITY_EVENT_EXAMPLE], "next_cursor": None},
    "AdminAccount": ADMIN_ACCOUNT_EXAMPLE,
    "AdminAccountPage": {"data": [ADMIN_ACCOUNT_EXAMPLE], "next_cursor": None},
    "AuditEvent": AUDIT_EVENT_EXAMPLE,
    "AuditEventPage": {"data": [AUDIT_EVENT_EXAMPLE], "next_cursor": None},
}

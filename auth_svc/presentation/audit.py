"""What is written down and what is in force, by RPC: the audit trail, sessions, revocations."""

from __future__ import annotations

from typing import Any

from auth_svc.application.list_audit_events import list_audit_events
from auth_svc.application.list_revocations import list_revocations
from auth_svc.application.list_security_events import list_security_events
from auth_svc.application.list_sessions import list_sessions
from auth_svc.application.note_inspection import note_inspection
from auth_svc.application.note_reading import note_reading
from auth_svc.application.ports import Ports
from auth_svc.presentation.audit_schemas import (
    audit_events_dump,
    revocations_dump,
    security_events_dump,
    sessions_dump,
)
from lib.access import any_of, anyone, owner, roles
from lib.events import event_handler
from lib.rpc import rpc


class AuditRpc:
    """Part of `AuthService`."""

    ports: Ports

    @rpc(allow=any_of(owner("user_id"), roles("admin")), idempotent=True)
    def list_sessions(self, user_id: str, session_id: str | None = None, reason: str | None = None) -> dict[str, Any]:
        """Show where an account is signed in, newest first, at most 100 sessions.

        :param user_id: the account
        :param reason: of an administrator, 1 to 500 characters for the audit trail
        :param session_id: the session that asks: the access token's ``sid``
        :returns: ``{"data": [{"id", "device": "Firefox on Linux" | "unknown", "user_agent", "ip", "created_at",
            "last_seen_at", "current": true for `session_id`}]}``
        :raises Fault: not_found/account_not_found
        """
        sessions = list_sessions(self.ports, user_id=user_id, session_id=session_id)
        note_reading(self.ports, "sessions.read", account_id=user_id, reason=reason)
        return sessions_dump(sessions)

    @rpc(allow=owner("user_id"), idempotent=True)
    def list_security_events(self, user_id: str, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:
        """Show what happened to an account, newest first: sign-ins, failed ones too, and changes.

        :param user_id: the account
        :param limit: at most that many, 1 to 100
        :param cursor: the ``next_cursor`` of the page before
        :returns: ``{"data": [{"id", "kind", "outcome": "success" | "failure", "occurred_at", "session_id", "ip",
            "user_agent", "device", "request_id", "details"}], "next_cursor": string or null}``; where an
            administrator acted, from where is not shown
        :raises Fault: malformed/invalid_cursor; invalid/invalid_limit; not_found/account_not_found
        """
        return security_events_dump(list_security_events(self.ports, user_id=user_id, limit=limit, cursor=cursor))

    @rpc(allow=roles("admin"), idempotent=True)
    def list_audit_events(
        self,
        account_id: str | None = None,
        actor_id: str | None = None,
        kind: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """Read the audit trail, newest first; that somebody did is in it, too.

        :param account_id: only what is about this account
        :param actor_id: only what this account did
        :param kind: only this, like ``login.failed``
        :param limit: at most that many, 1 to 100
        :param cursor: the ``next_cursor`` of the page before, with the same filters
        :param reason: 1 to 500 characters for the audit trail
        :returns: ``{"data": [{as of `list_security_events`, and "account_id", "actor_kind": "account" | "anonymous" |
            "system", "actor_id", "reason", "personal": {}}], "next_cursor": string or null}``; what was encrypted with
            a key that has been erased is null
        :raises Fault: malformed/invalid_cursor; invalid/invalid_limit, invalid/invalid_filter
        """
        page = list_audit_events(
            self.ports, account_id=account_id, actor_id=actor_id, kind=kind, limit=limit, cursor=cursor
        )
        filters = {"account_id": account_id, "actor_id": actor_id, "kind": kind}
        note_reading(self.ports, "audit.read", reason=reason, details=filters)
        return audit_events_dump(page)

    @rpc(allow=anyone, idempotent=True)
    def get_revocations(self, cursor: str | None = None) -> dict[str, Any]:
        """Tell which access tokens are to be refused although they have not expired.

        A token is refused if its ``sid`` is among the sessions, or if the time in that id (a UUIDv7) is not later than
        its account's. Everything is there that was revoked within ACCESS_TOKEN_TTL and ten minutes.

        :param cursor: the ``next_cursor`` of the page before
        :returns: ``{"sessions": {session id: when it ended}, "accounts": {account id: up to when all sessions ended},
            "next_cursor": string or null}``, times in milliseconds since 1970, at most 5,000 entries
        :raises Fault: malformed/invalid_cursor
        """
        return revocations_dump(list_revocations(self.ports, cursor=cursor))

    @event_handler("users_svc", "user.profile.inspected")
    def on_user_profile_inspected(self, event: dict[str, Any]) -> None:
        """Write down that an administrator has seen a profile that others do not see."""
        seen = event["data"]
        note_inspection(
            self.ports,
            event_id=event["id"],
            account_id=seen["id"],
            actor_id=seen["actor_id"],
            occurred_at=event["occurred_at"],
        )

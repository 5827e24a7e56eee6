"""What administrators do, by RPC. The service checks the role itself, from the access token that the call carries."""

from __future__ import annotations

from typing import Any

from auth_svc.application.disable_account import disable_account
from auth_svc.application.enable_account import enable_account
from auth_svc.application.end_account_sessions import end_account_sessions
from auth_svc.application.list_accounts import list_accounts
from auth_svc.application.note_reading import note_reading
from auth_svc.application.ports import Ports
from auth_svc.application.set_roles import set_roles
from auth_svc.presentation.audit_schemas import accounts_dump
from auth_svc.presentation.schemas import account_dump
from lib.access import roles as having_role
from lib.rpc import rpc

administrators = having_role("admin")


class AdminRpc:
    """Part of `AuthService`."""

    ports: Ports

    @rpc(allow=administrators, idempotent=True)
    def list_accounts(
        self,
        query: str | None = None,
        status: str | None = None,
        role: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """Look for accounts, newest first. Who looked, and for what, is in the audit trail.

        :param query: a part of the name, or the start of the e-mail address; upper and lower case are the same
        :param status: only ``active``, ``invited`` or ``disabled`` ones
        :param role: only those that have it: ``user`` (all), ``support``, ``finance``, ``admin``
        :param limit: at most that many, 1 to 100
        :param cursor: the ``next_cursor`` of the page before, with the same filters
        :param reason: 1 to 500 characters for the audit trail
        :returns: ``{"data": [{"id", "email", "name", "email_verified", "status", "roles", "disabled_reason",
            "created_at", "last_login_at"}], "next_cursor": string or null on the last page}``
        :raises Fault: malformed/invalid_cursor; invalid/invalid_limit, invalid/invalid_query, invalid/unknown_status,
            invalid/unknown_role
        """
        page = list_accounts(self.ports, query=query, status=status, role=role, limit=limit, cursor=cursor)
        note_reading(
            self.ports,
            "accounts.listed",
            reason=reason,
            details={"status": status, "role": role},
            personal={"query": query} if query else None,
        )
        return accounts_dump(page)

    @rpc(allow=administrators, idempotent=True)
    def disable_account(self, account_id: str, reason: str) -> dict[str, Any]:
        """Close an account: all of its sessions end, nobody can sign in, the links in its mails do not work any more.

        :param account_id: the account; one that is closed already is no error, and keeps its reason
        :param reason: 1 to 500 characters, kept in the audit trail and with the account
        :returns: the account, as `get_account` shows it to others than its owner
        :raises Fault: not_found/account_not_found; invalid/invalid_reason; conflict/own_account;
            conflict/last_administrator; conflict/contended with ``retry_after`` seconds
        """
        account = disable_account(self.ports, account_id=account_id, reason=reason)
        return account_dump(account, for_staff=True)

    @rpc(allow=administrators, idempotent=True)
    def enable_account(self, account_id: str, reason: str) -> dict[str, Any]:
        """Open a closed account again, as it was. Its sessions do not come back.

        :param account_id: the account; one that is open already is no error
        :param reason: 1 to 500 characters, kept in the audit trail
        :returns: the account, as `get_account` shows it to others than its owner
        :raises Fault: not_found/account_not_found; invalid/invalid_reason
        """
        account = enable_account(self.ports, account_id=account_id, reason=reason)
        return account_dump(account, for_staff=True)

    @rpc(allow=administrators, idempotent=True)
    def set_roles(self, account_id: str, roles: list[str], reason: str) -> dict[str, Any]:
        """Say what somebody may do.

        A role that is taken away is gone at once, for all sessions end; a new one is in the next access token.

        :param account_id: the account
        :param roles: all that it has from now on, of ``support``, ``finance``, ``admin``; ``user`` is everybody's
        :param reason: 1 to 500 characters, kept in the audit trail
        :returns: the account, as `get_account` shows it to others than its owner
        :raises Fault: not_found/account_not_found; invalid/unknown_role, invalid/invalid_reason; conflict/own_account
            and conflict/last_administrator where ``admin`` would be lost; conflict/contended with ``retry_after``
            seconds
        """
        account = set_roles(self.ports, account_id=account_id, roles=roles, reason=reason)
        return account_dump(account, for_staff=True)

    @rpc(allow=administrators, idempotent=True)
    def end_account_sessions(self, account_id: str, reason: str) -> dict[str, Any]:
        """Sign somebody out everywhere.

        :param account_id: the account; that it has no sessions is no error
        :param reason: 1 to 500 characters, kept in the audit trail
        :returns: the account, as `get_account` shows it to others than its owner
        :raises Fault: not_found/account_not_found; invalid/invalid_reason
        """
        account = end_account_sessions(self.ports, account_id=account_id, reason=reason)
        return account_dump(account, for_staff=True)

"""What administrators may see of all accounts, and do to them.

All of it is in the audit trail. Each change needs a reason, which is kept; looking may have one.
"""

from __future__ import annotations

from typing import Any

from flask import Response

from gateway.answers import NO_STORE, answer, read
from gateway.fields import MAX_EMAIL, Choice, Many, PageQuery, Shape, Text
from gateway.inputs import body, query
from gateway.openapi import Routes, operation
from gateway.roles import requires_role
from gateway.rpc import services
from gateway.shapes import ROLES, STATUSES

blueprint = Routes("admin", __name__, url_prefix="/api/v1/admin", description="For administrators")

MAX_REASON, MAX_ID, MAX_ROLE, MAX_ROLES, MAX_KIND = 500, 64, 32, 16, 64
FORBIDDEN = ("forbidden",)
NOT_FOUND = ("account_not_found",)
OF_ADMINISTRATORS = ("own_account", "last_administrator")
OF_REASONS = ("invalid_reason",)
EXAMPLE = {"reason": "The owner lost the mailbox"}


WHY = {"description": "Why you look, for the audit trail"}


class Looking(Shape):
    reason = Text(shortest=1, longest=MAX_REASON, metadata=WHY)


class AccountsQuery(PageQuery):
    reason = Text(shortest=1, longest=MAX_REASON, metadata=WHY)
    query = Text(longest=MAX_EMAIL, metadata={"description": "A part of the name, or the start of the e-mail address"})
    status = Choice(*STATUSES)
    role = Text(longest=MAX_ROLE, metadata={"description": "Only accounts that have this role"})


class AuditQuery(PageQuery):
    reason = Text(shortest=1, longest=MAX_REASON, metadata=WHY)
    account_id = Text(longest=MAX_ID, metadata={"description": "Whom it was done to"})
    actor_id = Text(longest=MAX_ID, metadata={"description": "Who did it"})
    kind = Text(longest=MAX_KIND, metadata={"description": "What happened"})


class Reason(Shape):
    reason = Text(required=True, shortest=1, longest=MAX_REASON)


class NewRoles(Reason):
    roles = Many(
        Text(longest=MAX_ROLE, metadata={"enum": list(ROLES)}),
        required=True,
        most=MAX_ROLES,
        metadata={"description": "All roles that the account has from now on"},
    )


LOOKING, ACCOUNTS_QUERY, AUDIT_QUERY = Looking(), AccountsQuery(), AuditQuery()
REASON, NEW_ROLES = Reason(), NewRoles()


@blueprint.get("/accounts")
@operation(
    gives=(200, "AdminAccountPage"),
    query=ACCOUNTS_QUERY,
    token=True,
    errors={403: FORBIDDEN, 422: ("invalid_query", "unknown_role", *OF_REASONS)},
)
@requires_role("admin")
@query(ACCOUNTS_QUERY)
def list_accounts(data: dict[str, Any]) -> Response:
    """List and search accounts, newest first"""
    return answer(services().auth_svc.list_accounts(**data))


@blueprint.get("/accounts/<id:account_id>")
@operation(
    gives=(200, "AdminAccount"),
    query=LOOKING,
    one=True,
    token=True,
    errors={403: FORBIDDEN, 404: NOT_FOUND, 422: OF_REASONS},
)
@requires_role("admin")
@query(LOOKING)
def get_account(data: dict[str, str], account_id: str) -> Response:
    """Show an account"""
    return read(services().auth_svc.get_account(user_id=account_id, **data))


@blueprint.post("/accounts/<id:account_id>/disable")
@operation(
    gives=(200, "AdminAccount"),
    takes=REASON,
    example=EXAMPLE,
    token=True,
    errors={403: FORBIDDEN, 404: NOT_FOUND, 409: OF_ADMINISTRATORS, 422: OF_REASONS},
)
@requires_role("admin")
@body(REASON)
def disable_account(data: dict[str, str], account_id: str) -> Response:
    """Disable an account

    All of its sessions end, nobody signs in to it, its profile is hidden.
    """
    return answer(services().auth_svc.disable_account(account_id=account_id, **data), cache=NO_STORE)


@blueprint.post("/accounts/<id:account_id>/enable")
@operation(
    gives=(200, "AdminAccount"),
    takes=REASON,
    example=EXAMPLE,
    token=True,
    errors={403: FORBIDDEN, 404: NOT_FOUND, 422: OF_REASONS},
)
@requires_role("admin")
@body(REASON)
def enable_account(data: dict[str, str], account_id: str) -> Response:
    """Enable an account again"""
    return answer(services().auth_svc.enable_account(account_id=account_id, **data), cache=NO_STORE)


@blueprint.put("/accounts/<id:account_id>/roles")
@operation(
    gives=(200, "AdminAccount"),
    takes=NEW_ROLES,
    example={"roles": ["user", "support"], "reason": "Joined the help desk"},
    token=True,
    errors={
        403: FORBIDDEN,
        404: NOT_FOUND,
        409: (*OF_ADMINISTRATORS, "email_not_verified"),
        422: ("unknown_role", *OF_REASONS),
    },
)
@requires_role("admin")
@body(NEW_ROLES)
def set_roles(data: dict[str, Any], account_id: str) -> Response:
    """Set the roles of an account

    A role that is taken away is gone at once, as all sessions end; a new one is in the next access token.
    """
    return answer(services().auth_svc.set_roles(account_id=account_id, **data), cache=NO_STORE)


@blueprint.get("/accounts/<id:account_id>/sessions")
@operation(
    gives=(200, "SessionList"),
    query=LOOKING,
    one=True,
    token=True,
    errors={403: FORBIDDEN, 404: NOT_FOUND, 422: OF_REASONS},
)
@requires_role("admin")
@query(LOOKING)
def list_sessions(data: dict[str, str], account_id: str) -> Response:
    """List the sessions of an account, newest first"""
    return read(services().auth_svc.list_sessions(user_id=account_id, **data))


@blueprint.delete("/accounts/<id:account_id>/sessions")
@operation(
    gives=(200, "AdminAccount"),
    takes=REASON,
    example=EXAMPLE,
    token=True,
    errors={403: FORBIDDEN, 404: NOT_FOUND, 422: OF_REASONS},
)
@requires_role("admin")
@body(REASON)
def end_sessions(data: dict[str, str], account_id: str) -> Response:
    """End all sessions of an account"""
    return answer(services().auth_svc.end_account_sessions(account_id=account_id, **data), cache=NO_STORE)


@blueprint.get("/audit")
@operation(
    gives=(200, "AuditEventPage"),
    query=AUDIT_QUERY,
    token=True,
    errors={403: FORBIDDEN, 422: ("invalid_filter", *OF_REASONS)},
)
@requires_role("admin")
@query(AUDIT_QUERY)
def list_audit_events(data: dict[str, Any]) -> Response:
    """List what was done, by whom and to whom, newest first"""
    return answer(services().auth_svc.list_audit_events(**data))

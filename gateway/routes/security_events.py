"""What happened to an account, for its owner."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from gateway.answers import answer
from gateway.bearer import signed_in
from gateway.fields import PageQuery
from gateway.inputs import query
from gateway.openapi import Routes, operation
from gateway.rpc import services

blueprint = Routes("security-events", __name__, url_prefix="/api/v1/auth/security-events", description="Own records")

PAGE_QUERY = PageQuery()


@blueprint.get("")
@operation(gives=(200, "SecurityEventPage"), query=PAGE_QUERY, token=True, errors={404: ("account_not_found",)})
@signed_in
@query(PAGE_QUERY)
def list_security_events(data: dict[str, Any]) -> Response:
    """List what happened to the own account, newest first

    Sign-ins that failed are among it.
    """
    return answer(services().auth_svc.list_security_events(user_id=g.call.actor.id, **data))

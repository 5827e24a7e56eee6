"""Sessions: one for each device that is signed in."""

from __future__ import annotations

from flask import Response, g

from gateway.answers import nothing, read
from gateway.bearer import signed_in
from gateway.openapi import Routes, operation
from gateway.rpc import services

blueprint = Routes("sessions", __name__, url_prefix="/api/v1/auth/sessions", description="Where one is signed in")


@blueprint.get("")
@operation(gives=(200, "SessionList"), token=True, errors={404: ("account_not_found",)})
@signed_in
def list_sessions() -> Response:
    """List the own sessions, newest first"""
    actor = g.call.actor
    return read(services().auth_svc.list_sessions(user_id=actor.id, session_id=actor.session_id))


@blueprint.delete("/<id:session_id>")
@operation(gives=(204, None), token=True, errors={404: ("session_not_found",)})
@signed_in
def end_session(session_id: str) -> Response:
    """Sign out one device

    Its access tokens are refused within a second.
    """
    services().auth_svc.end_session(user_id=g.call.actor.id, session_id=session_id)
    return nothing()

"""Profiles."""

from __future__ import annotations

import json
import uuid
from hashlib import sha256

from flask import Response, g

from gateway.answers import NO_STORE, answer, created, read
from gateway.bearer import maybe_signed_in, signed_in
from gateway.fields import MAX_NAME, Shape, Text, email_field
from gateway.inputs import body, idempotency_key
from gateway.limits import limited
from gateway.openapi import Routes, operation
from gateway.rpc import services

blueprint = Routes("users", __name__, url_prefix="/api/v1/users", description="Profiles")

USER_NOT_FOUND = ("user_not_found",)

#: what everybody sees may be kept by anybody, but a signed-in viewer may see more
PUBLIC = "no-cache"


class NewUser(Shape):
    email = email_field()
    name = Text(required=True, longest=MAX_NAME, metadata={"minLength": 1})


NEW_USER = NewUser()


@blueprint.post("")
@operation(
    gives=(201, "CreatedUser"),
    or_gives=(202, "Empty"),
    takes=NEW_USER,
    example={"email": "ann@example.com", "name": "Ann Example"},
    token=None,
    key=False,
    errors={
        403: ("invitations_closed",),
        409: ("email_taken", "request_key_reused", "request_in_progress"),
        422: ("invalid_email", "invalid_name"),
    },
)
@limited("10/minute;200/day")
@maybe_signed_in
@body(NEW_USER)
def create_user(data: dict[str, str]) -> Response:
    """Add a user

    The account is an invitation until the owner of the address claims it. Open to everybody only where invitations
    are open. Where registration is private (`PRIVATE_REGISTRATION`), the answer is always 202: the owner of the address
    gets a mail, whether there was an account or not.
    """
    user = services().users_svc.create_user(**data, request_key=_request_key(data))
    if "accepted" in user:
        return answer({}, 202, cache=NO_STORE)
    return created(user, f"/api/v1/users/{user['id']}")


def _request_key(data: dict[str, str]) -> str:
    """Return the key that the service knows this request by.

    Clients do not know each other's keys, and may well choose the same: who asks and what for is part of it.
    """
    key = idempotency_key(required=False)
    if key is None:
        return str(uuid.uuid4())
    return sha256(json.dumps([g.call.actor.id, key, data], sort_keys=True).encode()).hexdigest()


@blueprint.get("/profile")
@operation(gives=(200, "Profile"), token=True, errors={404: USER_NOT_FOUND})
@signed_in
def get_profile() -> Response:
    """Show the own profile"""
    return read(services().users_svc.get_profile(user_id=g.call.actor.id))


@blueprint.get("/<id:user_id>")
@operation(gives=(200, "PublicProfile"), token=None, errors={404: USER_NOT_FOUND})
@maybe_signed_in
def get_user(user_id: str) -> Response:
    """Show a user

    What there is to see depends on who looks.
    """
    response = read(services().users_svc.get_user(user_id=user_id), cache=PUBLIC)
    response.headers["Vary"] = "Authorization"
    return response

"""Accounts and sign-in."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from gateway.answers import NO_STORE, answer, created, nothing, read
from gateway.bearer import signed_in
from gateway.fields import MAX_NAME, MAX_TOKEN, Choice, Shape, Text, email_field, new_password_field, password_field
from gateway.inputs import body, query
from gateway.limits import limited
from gateway.login_guard import guarded_login
from gateway.openapi import Routes, operation
from gateway.rpc import services

blueprint = Routes("auth", __name__, url_prefix="/api/v1/auth", description="Accounts and sign-in")

MAX_DEVICE_TOKEN = 512
EXAMPLE = {"email": "ann@example.com", "password": "SecurePass123!", "name": "Ann Example"}


class Registration(Shape):
    email = email_field()
    password = new_password_field()
    name = Text(required=True, longest=MAX_NAME, metadata={"minLength": 1})


class Credentials(Shape):
    email = email_field()
    password = password_field()
    device_token = Text(
        load_only=True,
        longest=MAX_DEVICE_TOKEN,
        metadata={"description": "Of an earlier sign-in on this device; a known device is not locked out by others"},
    )


class Refreshing(Shape):
    refresh_token = Text(required=True, load_only=True, longest=MAX_TOKEN)


class LogoutScope(Shape):
    scope = Choice(
        "local",
        "others",
        "global",
        load_default="local",
        metadata={"description": "`local`: this session; `others`: all but this; `global`: all"},
    )


REGISTRATION, CREDENTIALS, REFRESHING, LOGOUT_SCOPE = Registration(), Credentials(), Refreshing(), LogoutScope()


@blueprint.post("/register")
@operation(
    gives=(201, "SignedIn"),
    or_gives=(202, "Empty"),
    takes=REGISTRATION,
    example=EXAMPLE,
    errors={409: ("email_taken",), 422: ("weak_password", "invalid_email", "invalid_name")},
)
@limited("10/minute;200/day")
@body(REGISTRATION)
def register(data: dict[str, str]) -> Response:
    """Make an account and sign in

    Where registration is private (`PRIVATE_REGISTRATION`), the answer is always 202 and never has tokens: the owner of
    the address gets a mail, whether there was an account or not.
    """
    result = services().auth_svc.register(**data)
    if "accepted" in result:
        return answer({}, 202, cache=NO_STORE)
    return created(result, f"/api/v1/users/{result['user']['id']}", cache=NO_STORE)


@blueprint.post("/login")
@operation(
    gives=(200, "SignedIn"),
    takes=CREDENTIALS,
    example={**{name: EXAMPLE[name] for name in ("email", "password")}, "device_token": "ldt_…"},
    errors={401: ("invalid_credentials",)},
)
@limited("10/minute;200/day")
@body(CREDENTIALS)
@guarded_login
def login(data: dict[str, Any]) -> Response:
    """Sign in

    Whatever is wrong, the answer is 401 `invalid_credentials`, after the same time.
    """
    return answer(services().auth_svc.login(**data), cache=NO_STORE)


@blueprint.post("/refresh")
@operation(
    gives=(200, "Tokens"),
    takes=REFRESHING,
    example={"refresh_token": "lrt_…"},
    errors={401: ("refresh_invalid", "refresh_reused", "session_expired")},
)
@limited("300/minute;20000/day")
@body(REFRESHING)
def refresh(data: dict[str, str]) -> Response:
    """Change a refresh token for a new pair of tokens

    A token works once; the same successor comes again for a few seconds, for a client that lost the answer. One that
    is used later ends the whole session with 401 `refresh_reused`.
    """
    return answer(services().auth_svc.refresh(**data), cache=NO_STORE)


@blueprint.post("/logout")
@operation(gives=(204, None), query=LOGOUT_SCOPE, token=True, errors={404: ("account_not_found",)})
@signed_in
@query(LOGOUT_SCOPE)
def logout(data: dict[str, str]) -> Response:
    """Sign out

    The access tokens of the sessions concerned are refused within a second.
    """
    actor = g.call.actor
    services().auth_svc.logout(user_id=actor.id, session_id=actor.session_id, scope=data["scope"])
    return nothing()


@blueprint.get("/me")
@operation(gives=(200, "Account"), token=True, errors={404: ("account_not_found",)})
@signed_in
def me() -> Response:
    """Show the own account"""
    return read(services().auth_svc.get_account(user_id=g.call.actor.id))

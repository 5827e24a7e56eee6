"""Accounts and sign-in."""

from __future__ import annotations

from flask import Response, g

from gateway.answers import NO_STORE, answer, created, nothing, read
from gateway.bearer import signed_in
from gateway.fields import Choice, Shape, Text
from gateway.inputs import body, query
from gateway.limits import limited
from gateway.openapi import Routes, operation
from gateway.rpc import services

blueprint = Routes("auth", __name__, url_prefix="/api/v1/auth", description="Accounts and sign-in")

MAX_EMAIL, MAX_PASSWORD, MAX_NAME, MAX_REFRESH_TOKEN = 254, 1024, 200, 1024
EXAMPLE = {"email": "ann@example.com", "password": "SecurePass123!", "name": "Ann Example"}


class Registration(Shape):
    email = Text(required=True, longest=MAX_EMAIL, metadata={"format": "email"})
    password = Text(
        required=True,
        load_only=True,
        longest=MAX_PASSWORD,
        metadata={
            "format": "password",
            "minLength": 8,
            "description": "8 to 128 characters of any kind; common ones are refused",
        },
    )
    name = Text(required=True, longest=MAX_NAME, metadata={"minLength": 1})


class Credentials(Shape):
    email = Text(required=True, longest=MAX_EMAIL, metadata={"format": "email"})
    password = Text(required=True, load_only=True, longest=MAX_PASSWORD, metadata={"format": "password"})


class Refreshing(Shape):
    refresh_token = Text(required=True, load_only=True, longest=MAX_REFRESH_TOKEN)


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
@operation(gives=(201, "Session"), takes=REGISTRATION, example=EXAMPLE, errors=(409,))
@limited("10/minute;200/day")
@body(REGISTRATION)
def register(data: dict[str, str]) -> Response:
    """Make an account and sign in

    A taken address is 409 `email_taken`; a weak password 422 `weak_password` with all reasons.
    """
    session = services().auth_svc.register(**data)
    return created(session, f"/api/v1/users/{session['user']['id']}", cache=NO_STORE)


@blueprint.post("/login")
@operation(
    gives=(200, "Session"), takes=CREDENTIALS, example={k: EXAMPLE[k] for k in ("email", "password")}, errors=(401,)
)
@limited("10/minute;200/day")
@body(CREDENTIALS)
def login(data: dict[str, str]) -> Response:
    """Sign in

    Whatever is wrong, the answer is 401 `invalid_credentials`, after the same time.
    """
    return answer(services().auth_svc.login(**data), cache=NO_STORE)


@blueprint.post("/refresh")
@operation(gives=(200, "Tokens"), takes=REFRESHING, example={"refresh_token": "rt_…"}, errors=(401,))
@limited("30/minute;2000/day")
@body(REFRESHING)
def refresh(data: dict[str, str]) -> Response:
    """Change a refresh token for a new pair of tokens

    A token works once: one that is used again later ends the whole session with 401 `refresh_reused`.
    """
    return answer(services().auth_svc.refresh(**data), cache=NO_STORE)


@blueprint.post("/logout")
@operation(gives=(204, None), query=LOGOUT_SCOPE, token=True)
@signed_in
@query(LOGOUT_SCOPE)
def logout(data: dict[str, str]) -> Response:
    """Sign out"""
    actor = g.call.actor
    services().auth_svc.logout(user_id=actor.id, session_id=actor.session_id, scope=data["scope"])
    return nothing()


@blueprint.get("/me")
@operation(gives=(200, "Account"), token=True, errors=(404,))
@signed_in
def me() -> Response:
    """Show the own account"""
    return read(services().auth_svc.get_account(user_id=g.call.actor.id))

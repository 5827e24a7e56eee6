"""Passwords: forgotten, reset, changed; and the first one of an invited account."""

from __future__ import annotations

from flask import Response, g

from gateway.answers import NO_STORE, answer, nothing
from gateway.bearer import signed_in
from gateway.fields import Shape, email_field, mailed_token_field, new_password_field, password_field
from gateway.inputs import body
from gateway.limits import limited
from gateway.openapi import Routes, operation
from gateway.rpc import services

blueprint = Routes("passwords", __name__, url_prefix="/api/v1/auth", description="Passwords and claims")


class Forgotten(Shape):
    email = email_field()


class Reset(Shape):
    token = mailed_token_field()
    new_password = new_password_field()


class PasswordChange(Shape):
    current_password = password_field()
    new_password = new_password_field()


class Claim(Shape):
    token = mailed_token_field()
    password = new_password_field()


FORGOTTEN, RESET, PASSWORD_CHANGE, CLAIM = Forgotten(), Reset(), PasswordChange(), Claim()


@blueprint.post("/password/forgot")
@operation(gives=(202, "Empty"), takes=FORGOTTEN, example={"email": "ann@example.com"})
@limited("5/minute;50/day")
@body(FORGOTTEN)
def forgot(data: dict[str, str]) -> Response:
    """Ask for a mail to reset the password

    The answer is the same whether there is such an account or not.
    """
    services().auth_svc.forgot_password(**data)
    return answer({}, 202, cache=NO_STORE)


@blueprint.post("/password/reset")
@operation(
    gives=(204, None),
    takes=RESET,
    example={"token": "lot_…", "new_password": "correct horse battery staple"},
    errors={422: ("invalid_or_expired_token", "weak_password")},
)
@limited("10/minute;50/day")
@body(RESET)
def reset(data: dict[str, str]) -> Response:
    """Set a new password by the mailed token

    Ends all sessions, and opens none.
    """
    services().auth_svc.reset_password(**data)
    return nothing()


@blueprint.post("/password/change")
@operation(
    gives=(204, None),
    takes=PASSWORD_CHANGE,
    example={"current_password": "SecurePass123!", "new_password": "correct horse battery staple"},
    token=True,
    errors={
        403: ("wrong_password",),
        404: ("account_not_found",),
        422: ("weak_password", "password_unchanged"),
    },
)
@limited("10/minute;50/day")
@signed_in
@body(PASSWORD_CHANGE)
def change(data: dict[str, str]) -> Response:
    """Change the password

    Ends all other sessions.
    """
    actor = g.call.actor
    services().auth_svc.change_password(user_id=actor.id, session_id=actor.session_id, **data)
    return nothing()


@blueprint.post("/claim")
@operation(
    gives=(200, "SignedIn"),
    takes=CLAIM,
    example={"token": "lot_…", "password": "correct horse battery staple"},
    errors={409: ("not_claimable",), 422: ("invalid_or_expired_token", "weak_password")},
)
@limited("10/minute;50/day")
@body(CLAIM)
def claim(data: dict[str, str]) -> Response:
    """Take over an invited account

    Its address is verified by that.
    """
    return answer(services().auth_svc.claim_account(**data), cache=NO_STORE)

"""The address of an account: proving it, changing it."""

from __future__ import annotations

from typing import Any

from flask import Response, g
from marshmallow import ValidationError, validates_schema

from gateway.answers import NO_STORE, answer
from gateway.bearer import signed_in
from gateway.fields import MAX_CODE, Shape, Text, email_field, mailed_token_field, password_field
from gateway.inputs import body
from gateway.limits import limited
from gateway.openapi import Routes, operation
from gateway.rpc import services

blueprint = Routes("email", __name__, url_prefix="/api/v1/auth/email", description="The address of an account")


class Verification(Shape):
    token = mailed_token_field(required=False)
    code = Text(
        load_only=True,
        longest=MAX_CODE,
        metadata={"description": "The short code of the same mail, instead of the token; needs an access token"},
    )

    @validates_schema
    def check_one(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("required: send token or code")
        if len(data) > 1:
            raise ValidationError("ambiguous: send token or code, not both")


class AddressChange(Shape):
    new_email = email_field()
    current_password = password_field()


class MailedToken(Shape):
    token = mailed_token_field()


VERIFICATION, ADDRESS_CHANGE, MAILED_TOKEN = Verification(), AddressChange(), MailedToken()


@blueprint.post("/verification")
@operation(gives=(202, "Empty"), token=True, errors={404: ("account_not_found",)})
@limited("5/minute;50/day")
@signed_in
def request_verification() -> Response:
    """Ask for another mail to verify the address

    Nothing is sent to an address that is verified.
    """
    services().auth_svc.request_email_verification(user_id=g.call.actor.id)
    return answer({}, 202, cache=NO_STORE)


@blueprint.post("/verify")
@operation(
    gives=(200, "VerificationResult"),
    takes=VERIFICATION,
    example={"token": "lot_…"},
    token=None,
    errors={
        401: ("unauthenticated",),
        404: ("account_not_found",),
        422: ("invalid_or_expired_token", "invalid_code"),
    },
)
@limited("10/minute;50/day")
@body(VERIFICATION)
def verify(data: dict[str, str]) -> Response:
    """Prove the address

    By the token of the mail's link, or by the mail's code together with the account's access token.
    """
    if "code" in data:
        return _verify_by_code(data["code"])
    return answer(services().auth_svc.verify_email(token=data["token"]), cache=NO_STORE)


@signed_in
def _verify_by_code(code: str) -> Response:
    return answer(services().auth_svc.verify_email_by_code(user_id=g.call.actor.id, code=code), cache=NO_STORE)


@blueprint.post("/change")
@operation(
    gives=(202, "Empty"),
    takes=ADDRESS_CHANGE,
    example={"new_email": "ann@example.org", "current_password": "SecurePass123!"},
    token=True,
    errors={403: ("wrong_password",), 404: ("account_not_found",), 422: ("invalid_email", "email_unchanged")},
)
@limited("5/minute;50/day")
@signed_in
@body(ADDRESS_CHANGE)
def change(data: dict[str, str]) -> Response:
    """Ask to move the account to another address

    It moves when the link in the mail to the new address is used; the old one gets a notice with a link to undo it.
    Whether the new address has an account does not show here.
    """
    services().auth_svc.change_email(user_id=g.call.actor.id, **data)
    return answer({}, 202, cache=NO_STORE)


@blueprint.post("/change/confirm")
@operation(
    gives=(200, "NewAddress"),
    takes=MAILED_TOKEN,
    example={"token": "lot_…"},
    errors={409: ("email_taken",), 422: ("invalid_or_expired_token",)},
)
@limited("10/minute;50/day")
@body(MAILED_TOKEN)
def confirm_change(data: dict[str, str]) -> Response:
    """Prove the new address, and move the account to it"""
    return answer(services().auth_svc.confirm_email_change(**data), cache=NO_STORE)


@blueprint.post("/change/revert")
@operation(
    gives=(200, "NewAddress"),
    takes=MAILED_TOKEN,
    example={"token": "lot_…"},
    errors={409: ("email_taken",), 422: ("invalid_or_expired_token",)},
)
@limited("10/minute;50/day")
@body(MAILED_TOKEN)
def revert_change(data: dict[str, str]) -> Response:
    """Undo a change of address from the old mailbox

    Whoever asked for it knew the password: it is gone, as are all sessions. A mail to set a new one is sent.
    """
    return answer(services().auth_svc.revert_email_change(**data), cache=NO_STORE)

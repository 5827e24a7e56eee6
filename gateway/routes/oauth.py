"""What programs with credentials of their own may ask about tokens, and do to them."""

from __future__ import annotations

from flask import Response

from gateway.answers import NO_STORE, answer
from gateway.fields import Text
from gateway.forms import ClientForm, client_form
from gateway.limits import limited
from gateway.openapi import Routes, operation
from gateway.rpc import services

blueprint = Routes("oauth", __name__, url_prefix="/api/v1/auth", description="For programs: tokens of others")

MAX_TOKEN, MAX_HINT = 8192, 255
EXAMPLE = {"token": "lrt_…", "token_type_hint": "refresh_token"}


class TokenForm(ClientForm):
    token = Text(required=True, load_only=True, longest=MAX_TOKEN)
    token_type_hint = Text(
        longest=MAX_HINT, metadata={"description": "`access_token` or `refresh_token`; what helps nobody is ignored"}
    )


TOKEN_FORM = TokenForm()


@blueprint.post("/introspect")
@operation(gives=(200, "Introspection"), takes=TOKEN_FORM, example=EXAMPLE, form=True)
@limited("600/minute")
@client_form(TOKEN_FORM)
def introspect(data: dict[str, str]) -> Response:
    """Ask whether a token is good (RFC 7662)

    Errors are problem documents with the member `error` of RFC 6749, section 5.2, in addition.
    """
    return answer(services().auth_svc.introspect_token(**data), cache=NO_STORE)


@blueprint.post("/revoke")
@operation(gives=(200, "Empty"), takes=TOKEN_FORM, example=EXAMPLE, form=True)
@limited("600/minute")
@client_form(TOKEN_FORM)
def revoke(data: dict[str, str]) -> Response:
    """End the session of a token (RFC 7009)

    200 also for a token that is not good (any more). Errors are problem documents with the member `error` of RFC 6749,
    section 5.2, in addition.
    """
    services().auth_svc.revoke_token(**data)
    return answer({}, cache=NO_STORE)

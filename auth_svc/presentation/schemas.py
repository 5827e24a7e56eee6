"""What leaves the service: JSON-able, ids and times as strings."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from auth_svc.application.open_session import SignedIn
from auth_svc.application.reserve_account import Reservation
from auth_svc.domain.account import Account
from lib.ids import rfc3339


class UserSchema(Schema):
    """An account as its owner sees it on signing in."""

    id = fields.String()
    email = fields.Function(lambda account: account.email.typed)
    name = fields.String()
    email_verified = fields.Boolean()
    created_at = fields.Function(lambda account: rfc3339(account.created_at))


class AccountSchema(UserSchema):
    """… and everything else that is not secret."""

    status = fields.String()
    roles = fields.List(fields.String())


class AccountForStaffSchema(AccountSchema):
    """… and what its owner is not told."""

    disabled_reason = fields.String()


class ReservationSchema(Schema):
    id = fields.String(attribute="account.id")
    email = fields.String(attribute="account.email.typed")
    name = fields.String(attribute="account.name")
    status = fields.String(attribute="account.status")
    created = fields.Boolean()


class TokensSchema(Schema):
    """A new pair of tokens, in the words of RFC 6749, section 5.1."""

    access_token = fields.String(attribute="access_token.value")
    refresh_token = fields.String()
    token_type = fields.Constant("Bearer")
    expires_in = fields.Integer(attribute="access_token.expires_in")


class SignedInSchema(TokensSchema):
    user = fields.Nested(UserSchema, attribute="account")
    device_token = fields.String()


# Made once: a schema copies all of its fields when it is made, which costs more than to dump one object.
_ACCOUNT, _ACCOUNT_FOR_STAFF, _RESERVATION = AccountSchema(), AccountForStaffSchema(), ReservationSchema()
_TOKENS, _SIGNED_IN = TokensSchema(), SignedInSchema()


def account_dump(account: Account, *, for_staff: bool = False) -> dict[str, Any]:
    schema = _ACCOUNT_FOR_STAFF if for_staff else _ACCOUNT
    return schema.dump(account)  # type: ignore[no-any-return]


def reservation_dump(reservation: Reservation) -> dict[str, Any]:
    return _RESERVATION.dump(reservation)  # type: ignore[no-any-return]


def tokens_dump(signed_in: SignedIn) -> dict[str, Any]:
    return _TOKENS.dump(signed_in)  # type: ignore[no-any-return]


def signed_in_dump(signed_in: SignedIn) -> dict[str, Any]:
    return _SIGNED_IN.dump(signed_in)  # type: ignore[no-any-return]

"""Profiles."""

from __future__ import annotations

import json
import uuid
from hashlib import sha256
from typing import Any

from flask import Response, g

from gateway.answers import NO_STORE, answer, created, read
from gateway.bearer import maybe_signed_in, signed_in
from gateway.fields import MAX_NAME, Choice, Flag, Part, Shape, Text, email_field
from gateway.inputs import body, idempotency_key
from gateway.limits import limited, limited_per_account
from gateway.openapi import Routes, operation
from gateway.routes.connections import LOOKS
from gateway.rpc import services
from gateway.shapes.users import AUDIENCES, VISIBLE
from gateway.versions import merge_patch, patched, read_version

blueprint = Routes("users", __name__, url_prefix="/api/v1/users", description="Profiles")

USER_NOT_FOUND = ("user_not_found",)

#: what everybody sees may be kept by anybody, but a signed-in viewer may see more
PUBLIC = "no-cache"


class NewUser(Shape):
    email = email_field()
    name = Text(required=True, longest=MAX_NAME, metadata={"minLength": 1})


def _text(longest: int, told: str, **metadata: str) -> Text:
    """Return the field of a text that null takes away. The services know how long it may be once it is normalised."""
    return Text(longest=longest, allow_none=True, metadata={"description": told, **metadata})


def _flag(told: str) -> Flag:
    return Flag(allow_none=True, metadata={"description": told})


AUDIENCES_PATCH = Shape.from_dict(
    {each: Choice(*AUDIENCES, allow_none=True) for each in VISIBLE}, name="AudiencesPatch"
)


class ProfilePatch(Shape):
    handle = _text(120, "3 to 30 of the characters A-Z, a-z, 0-9 and _, and a letter", example="ann_example")
    display_name = Text(longest=400, metadata={"description": "1 to 64 characters as people count them"})
    bio = _text(8000, "Up to 256 characters as people count them")
    avatar_url = _text(2048, "http:// or https://", format="uri")
    location = _text(800, "Up to 100 characters as people count them")
    website = _text(2048, "http:// or https://", format="uri")
    birth_date = _text(10, "From 1900 until yesterday", format="date")
    locale = _text(35, "A language tag (BCP 47)", example="de-CH")
    time_zone = _text(64, "A name of the IANA time zone database", example="Europe/Zurich")
    visibility = Part(AUDIENCES_PATCH, metadata={"description": "Who sees a field; null for the usual audience"})
    discoverable = _flag("Whether searches may find the profile; true at first")
    findable_by_email = _flag("Whether who knows the address may find the profile by it; false at first")
    private = _flag("Whether followers have to be accepted; false accepts all who wait")


NEW_USER, PROFILE = NewUser(), ProfilePatch()


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
        404: USER_NOT_FOUND,
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
    are open. 404 if the account was deleted before the answer.

    Where registration is private (`PRIVATE_REGISTRATION`), the answer is always 202: the owner of the address
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
    return read_version(services().users_svc.get_profile(user_id=g.call.actor.id))


@blueprint.patch("/profile")
@operation(
    gives=(200, "Profile"),
    takes=PROFILE,
    example={"handle": "ann", "bio": "Hares, mostly", "location": None, "visibility": {"bio": "public"}},
    merge=True,
    token=True,
    errors={
        404: USER_NOT_FOUND,
        409: ("handle_taken", "handle_changed_recently"),
        422: ("invalid_profile",),
    },
)
@signed_in
@merge_patch(PROFILE)
def update_profile(changes: dict[str, Any], expected_version: int | None) -> Response:
    """Change the own profile

    A merge patch (RFC 7396): what is left out stays, null takes away. All of it is done, or nothing.

    A handle can be chosen every 30 days, one's own old one, too; for 90 days nobody else gets the last one that was
    given up. Handles that look alike are one. Who waits to follow an account that becomes public follows in a moment.
    """
    profile = services().users_svc.update_profile(
        user_id=g.call.actor.id, changes=changes, expected_version=expected_version
    )
    return patched(profile)


@blueprint.get("/<id:user_id>")
@operation(gives=(200, "PublicProfile"), token=None, errors={404: USER_NOT_FOUND})
@maybe_signed_in
@limited_per_account(LOOKS, shared="people")
def get_user(user_id: str) -> Response:
    """Show a user

    What there is to see depends on who looks.
    """
    response = read(services().users_svc.get_user(user_id=user_id), cache=PUBLIC)
    response.headers["Vary"] = "Authorization"
    return response

"""Who follows and blocks whom."""

from __future__ import annotations

from typing import Any

from flask import Response, g, request

from gateway.answers import answer, nothing, read
from gateway.bearer import maybe_signed_in, signed_in
from gateway.fields import Many, PageQuery, Shape, Text
from gateway.inputs import load, query
from gateway.limits import limited_per_account
from gateway.openapi import Routes, operation
from gateway.rpc import services

blueprint = Routes(
    "connections",
    __name__,
    url_prefix="/api/v1/users",
    description="Who follows and blocks whom. To take something back (DELETE, reject) is 204 for every UUID, whether "
    "there was something or not, and whoever it is: 404 only tells that an id is none",
)

#: of all that changes connections, together: who follows and unfollows without end sends notifications without end
CHURN = "60/minute"
#: of looks at people one by one or in lists, together with those at profiles: nobody copies all of them
LOOKS = "300/minute"
MOST_IDS, LONGEST_ID = 100, 64

OF_OTHERS = {404: ("user_not_found",), 422: ("not_oneself",)}
OF_LISTS = {403: ("private_account", "network_hidden"), 404: ("user_not_found",)}

PAGE_QUERY = PageQuery()


class Ids(Shape):
    id = Many(
        Text(longest=LONGEST_ID),
        most=MOST_IDS,
        required=True,
        metadata={"description": f"Once for each user, up to {MOST_IDS} times: `?id=…&id=…`"},
    )


IDS = Ids()


@blueprint.put("/<id:user_id>/follow")
@operation(gives=(204, None), token=True, errors={**OF_OTHERS, 409: ("blocking",)})
@signed_in
@limited_per_account(CHURN, shared="connections")
def follow_user(user_id: str) -> Response:
    """Follow a user

    Where the user accepts their followers, this is a request: `requested` in the relationship tells. Twice is once.
    """
    services().users_svc.follow(user_id=g.call.actor.id, target_id=user_id)
    return nothing()


@blueprint.delete("/<id:user_id>/follow")
@operation(gives=(204, None), token=True, errors=OF_OTHERS)
@signed_in
@limited_per_account(CHURN, shared="connections")
def unfollow_user(user_id: str) -> Response:
    """Unfollow a user

    Also takes a request back. Twice is once, and an id that nobody has is no error.
    """
    services().users_svc.unfollow(user_id=g.call.actor.id, target_id=user_id)
    return nothing()


@blueprint.put("/<id:user_id>/block")
@operation(gives=(204, None), token=True, errors=OF_OTHERS)
@signed_in
@limited_per_account(CHURN, shared="connections")
def block_user(user_id: str) -> Response:
    """Block a user

    Ends the follows and requests between the two, both ways. For the blocked one the other is not there from now on.
    """
    services().users_svc.block(user_id=g.call.actor.id, target_id=user_id)
    return nothing()


@blueprint.delete("/<id:user_id>/block")
@operation(gives=(204, None), token=True, errors=OF_OTHERS)
@signed_in
@limited_per_account(CHURN, shared="connections")
def unblock_user(user_id: str) -> Response:
    """Unblock a user

    What the block ended stays ended. Twice is once, and an id that nobody has is no error.
    """
    services().users_svc.unblock(user_id=g.call.actor.id, target_id=user_id)
    return nothing()


@blueprint.put("/<id:user_id>/mute")
@operation(gives=(204, None), token=True, errors=OF_OTHERS)
@signed_in
@limited_per_account(CHURN, shared="connections")
def mute_user(user_id: str) -> Response:
    """Mute a user

    There are no notifications of what they do. They do not get to know.
    """
    services().users_svc.mute(user_id=g.call.actor.id, target_id=user_id)
    return nothing()


@blueprint.delete("/<id:user_id>/mute")
@operation(gives=(204, None), token=True, errors=OF_OTHERS)
@signed_in
@limited_per_account(CHURN, shared="connections")
def unmute_user(user_id: str) -> Response:
    """Unmute a user

    Twice is once, and an id that nobody has is no error.
    """
    services().users_svc.unmute(user_id=g.call.actor.id, target_id=user_id)
    return nothing()


@blueprint.post("/follow-requests/<id:user_id>/accept")
@operation(gives=(204, None), token=True, errors={**OF_OTHERS, 404: ("follow_request_not_found", "user_not_found")})
@signed_in
@limited_per_account(CHURN, shared="connections")
def accept_follow_request(user_id: str) -> Response:
    """Accept a follower"""
    services().users_svc.accept_follow_request(user_id=g.call.actor.id, requester_id=user_id)
    return nothing()


@blueprint.post("/follow-requests/<id:user_id>/reject")
@operation(gives=(204, None), token=True, errors=OF_OTHERS)
@signed_in
@limited_per_account(CHURN, shared="connections")
def reject_follow_request(user_id: str) -> Response:
    """Reject a follower

    They do not get to know, and may ask again. Twice is once, and an id that nobody has is no error.
    """
    services().users_svc.reject_follow_request(user_id=g.call.actor.id, requester_id=user_id)
    return nothing()


@blueprint.get("/<id:user_id>/followers")
@operation(gives=(200, "PersonPage"), query=PAGE_QUERY, token=None, errors=OF_LISTS)
@maybe_signed_in
@limited_per_account(LOOKS, shared="people")
@query(PAGE_QUERY)
def list_followers(data: dict[str, Any], user_id: str) -> Response:
    """List who follows a user, newest first

    Without those whom the viewer cannot see. Those of a private account are for its followers.
    """
    response = answer(services().users_svc.list_followers(user_id=user_id, **data))
    response.headers["Vary"] = "Authorization"
    return response


@blueprint.get("/<id:user_id>/following")
@operation(gives=(200, "PersonPage"), query=PAGE_QUERY, token=None, errors=OF_LISTS)
@maybe_signed_in
@limited_per_account(LOOKS, shared="people")
@query(PAGE_QUERY)
def list_following(data: dict[str, Any], user_id: str) -> Response:
    """List whom a user follows, newest first

    Without those whom the viewer cannot see. Those of a private account are for its followers.
    """
    response = answer(services().users_svc.list_following(user_id=user_id, **data))
    response.headers["Vary"] = "Authorization"
    return response


@blueprint.get("/blocks")
@operation(gives=(200, "PersonPage"), query=PAGE_QUERY, token=True)
@signed_in
@query(PAGE_QUERY)
def list_blocks(data: dict[str, Any]) -> Response:
    """List whom the account blocks, newest first"""
    return answer(services().users_svc.list_blocks(user_id=g.call.actor.id, **data))


@blueprint.get("/follow-requests")
@operation(gives=(200, "PersonPage"), query=PAGE_QUERY, token=True)
@signed_in
@query(PAGE_QUERY)
def list_follow_requests(data: dict[str, Any]) -> Response:
    """List who wants to follow the account, newest first"""
    return answer(services().users_svc.list_follow_requests(user_id=g.call.actor.id, **data))


@blueprint.get("/<id:user_id>/relationship")
@operation(gives=(200, "Relationship"), token=True, errors=OF_OTHERS)
@signed_in
@limited_per_account(LOOKS, shared="people")
def get_relationship(user_id: str) -> Response:
    """Show what a user and the account are to each other"""
    return read(services().users_svc.get_relationship(user_id=g.call.actor.id, other_id=user_id))


@blueprint.get("/relationships")
@operation(gives=(200, "Relationships"), query=IDS, token=True)
@signed_in
@limited_per_account(LOOKS, shared="people")
def get_relationships() -> Response:
    """Show what many users and the account are to each other

    In the order of the ids. An item for somebody who is not there says `not_found`.
    """
    ids = load(IDS, request.args.to_dict(flat=False))["id"]
    return answer(services().users_svc.get_relationships(user_id=g.call.actor.id, ids=ids))

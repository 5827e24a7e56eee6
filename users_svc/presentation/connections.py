"""users_svc on the broker: connections."""

from __future__ import annotations

from typing import Any

from lib.access import anyone, owner
from lib.caller import Caller
from lib.events import event_handler
from lib.rpc import rpc
from users_svc.application.accept_follow_request import accept_follow_request
from users_svc.application.block_user import block_user
from users_svc.application.follow_user import follow_user
from users_svc.application.get_relationships import get_relationship, get_relationships
from users_svc.application.list_connections import list_blocks, list_follow_requests, list_followers, list_following
from users_svc.application.mute_user import mute_user
from users_svc.application.ports import Ports
from users_svc.application.reject_follow_request import reject_follow_request
from users_svc.application.settle_requests import settle_requests
from users_svc.application.unblock_user import unblock_user
from users_svc.application.unfollow_user import unfollow_user
from users_svc.application.unmute_user import unmute_user
from users_svc.presentation.connection_schemas import people_dump, relationship_dump


class ConnectionRpc:
    """Part of `UsersService`.

    All of these may be repeated: what is so already stays so. ``not_found/user_not_found`` is said of an unknown or
    deleted account, a disabled one, and one whose owner blocks the caller, and nothing tells which of them it is. To
    take something back succeeds with all of them, whether there was something or not; only what is no UUID is not
    found.
    """

    ports: Ports
    caller: Caller

    @rpc(allow=owner("user_id"), idempotent=True)
    def follow(self, user_id: str, target_id: str) -> None:
        """Follow somebody, or ask to: a private account has to accept, unless it accepts everybody.

        :raises Fault: ``invalid/not_oneself``; ``not_found/user_not_found``; ``conflict/blocking`` if the caller blocks
            the target
        """
        follow_user(self.ports, user_id=user_id, target_id=target_id)

    @rpc(allow=owner("user_id"), idempotent=True)
    def unfollow(self, user_id: str, target_id: str) -> None:
        """Follow somebody no longer, or take the request back.

        :raises Fault: ``invalid/not_oneself``
        """
        unfollow_user(self.ports, user_id=user_id, target_id=target_id)

    @rpc(allow=owner("user_id"), idempotent=True)
    def block(self, user_id: str, target_id: str) -> None:
        """Block somebody: the follows and requests between the two end, and for the target the caller is not there.

        :raises Fault: ``invalid/not_oneself``; ``not_found/user_not_found``
        """
        block_user(self.ports, user_id=user_id, target_id=target_id)

    @rpc(allow=owner("user_id"), idempotent=True)
    def unblock(self, user_id: str, target_id: str) -> None:
        """Take a block back; the follows stay ended.

        :raises Fault: ``invalid/not_oneself``
        """
        unblock_user(self.ports, user_id=user_id, target_id=target_id)

    @rpc(allow=owner("user_id"), idempotent=True)
    def mute(self, user_id: str, target_id: str) -> None:
        """Have no notifications of what somebody does; they do not get to know.

        :raises Fault: ``invalid/not_oneself``; ``not_found/user_not_found``
        """
        mute_user(self.ports, user_id=user_id, target_id=target_id)

    @rpc(allow=owner("user_id"), idempotent=True)
    def unmute(self, user_id: str, target_id: str) -> None:
        """Take a mute back.

        :raises Fault: ``invalid/not_oneself``
        """
        unmute_user(self.ports, user_id=user_id, target_id=target_id)

    @rpc(allow=owner("user_id"), idempotent=True)
    def accept_follow_request(self, user_id: str, requester_id: str) -> None:
        """Let somebody follow who has asked for it.

        :raises Fault: ``invalid/not_oneself``; ``not_found/user_not_found``; ``not_found/follow_request_not_found``
            unless they have asked or follow already
        """
        accept_follow_request(self.ports, user_id=user_id, requester_id=requester_id)

    @rpc(allow=owner("user_id"), idempotent=True)
    def reject_follow_request(self, user_id: str, requester_id: str) -> None:
        """Drop somebody's request to follow; they do not get to know.

        :raises Fault: ``invalid/not_oneself``
        """
        reject_follow_request(self.ports, user_id=user_id, requester_id=requester_id)

    @rpc(allow=anyone, idempotent=True)
    def list_followers(self, user_id: str, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:
        """Return who follows a user, newest first, as far as the caller can see them.

        :param limit: 1 to 100
        :param cursor: the ``next_cursor`` of the page before
        :returns: ``{"data": [{"id", "handle", "display_name", "avatar_url", "since", "relationship"}],
            "next_cursor"}``;
            what a person does not show the caller is null, and so is the relationship for an anonymous caller and for
            the caller themselves
        :raises Fault: ``not_found/user_not_found``; ``forbidden/private_account`` unless the caller follows the account
            or owns it; ``forbidden/network_hidden`` unless the caller owns it; ``malformed/invalid_cursor``;
            ``invalid/invalid_limit``
        """
        page = list_followers(self.ports, user_id=user_id, viewer_id=self.caller.id, limit=limit, cursor=cursor)
        return people_dump(page)

    @rpc(allow=anyone, idempotent=True)
    def list_following(self, user_id: str, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:
        """Return whom a user follows; see `list_followers`."""
        page = list_following(self.ports, user_id=user_id, viewer_id=self.caller.id, limit=limit, cursor=cursor)
        return people_dump(page)

    @rpc(allow=owner("user_id"), idempotent=True)
    def list_blocks(self, user_id: str, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:
        """Return whom a user blocks, newest first; in the form of `list_followers`.

        :raises Fault: ``malformed/invalid_cursor``; ``invalid/invalid_limit``
        """
        page = list_blocks(self.ports, user_id=user_id, limit=limit, cursor=cursor)
        return people_dump(page)

    @rpc(allow=owner("user_id"), idempotent=True)
    def list_follow_requests(self, user_id: str, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:
        """Return who has asked to follow a user, newest first; in the form of `list_followers`.

        :raises Fault: ``malformed/invalid_cursor``; ``invalid/invalid_limit``
        """
        page = list_follow_requests(self.ports, user_id=user_id, limit=limit, cursor=cursor)
        return people_dump(page)

    @rpc(allow=owner("user_id"), idempotent=True)
    def get_relationship(self, user_id: str, other_id: str) -> dict[str, Any]:
        """Return what a user and somebody else are to each other.

        :returns: ``{"id": other_id, "following", "followed_by", "requested", "requested_by", "blocking", "muting"}``
        :raises Fault: ``invalid/not_oneself``; ``not_found/user_not_found``
        """
        return relationship_dump(get_relationship(self.ports, user_id=user_id, other_id=other_id))

    @rpc(allow=owner("user_id"), idempotent=True)
    def get_relationships(self, user_id: str, ids: list[str]) -> dict[str, Any]:
        """Return what a user and others are to each other, in one query.

        :param ids: at most 100
        :returns: ``{"data": […]}``: for each id, in their order, what `get_relationship` returns, or
            ``{"id", "not_found": true}``
        :raises Fault: ``invalid/too_many_ids``
        """
        found = get_relationships(self.ports, user_id=user_id, ids=ids)
        return {"data": [relationship_dump(each) for each in found]}

    @event_handler("users_svc", "user.follow_opened")
    def on_user_follow_opened(self, event: dict[str, Any]) -> None:
        """Let those follow who still wait to."""
        settle_requests(self.ports, user_id=event["data"]["id"])

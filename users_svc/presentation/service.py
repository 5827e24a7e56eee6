"""users_svc on the broker: RPC methods and event handlers."""

from __future__ import annotations

from typing import Any

from lib.access import anyone, system
from lib.caller import Caller, RpcJwks
from lib.database import Database
from lib.events import event_handler
from lib.operations import Operations
from lib.provide import Provide
from lib.rpc import rpc
from lib.service_rpc import ServiceRpc
from users_svc.application.close_profile import close_profile
from users_svc.application.create_user import create_user
from users_svc.application.follow_account import follow_account
from users_svc.application.get_statistics import get_statistics
from users_svc.application.note_arrival import note_arrival
from users_svc.application.open_profile import open_profile
from users_svc.bootstrap import build_ports

# As modules: Nameko takes every class with entry points that it finds by name in here for a service of its own.
from users_svc.presentation import connections, notifications, preferences, profiles, search
from users_svc.presentation.schemas import CREATED_USER, DAY_STATISTICS


class UsersService(
    profiles.ProfileRpc,
    connections.ConnectionRpc,
    preferences.PreferenceRpc,
    notifications.NotificationRpc,
    search.SearchRpc,
):
    """Profiles of the people who have an account."""

    name = "users_svc"
    ports = Provide(build_ports, database=Database(), auth=ServiceRpc("auth_svc", as_system=True))
    caller = Caller(jwks=RpcJwks("auth_svc", "get_jwks"))
    operations = Operations()

    @rpc(allow=anyone, idempotent="request_key")
    def create_user(self, email: str, name: str, request_key: str | None = None) -> dict[str, Any]:
        """Add a user: an invited account, for its owner to claim, and its profile.

        :param email: the owner's address
        :param name: the name to show, 1 to 100 characters
        :param request_key: 1 to 255 characters; the same key again gives the same user, whatever became of the first
            call. Without one, a call that is repeated after a lost answer is told that the address is taken
        :returns: ``{"id", "email", "name"}``; with PRIVATE_REGISTRATION always ``{"accepted": true}``, and the mailbox
            gets to know whether the address was taken
        :raises Fault: ``forbidden/invitations_closed`` unless OPEN_INVITATIONS is on or the caller is an admin;
            ``invalid/invalid_name``, ``invalid/invalid_email``, ``invalid/invalid_request_key``;
            ``conflict/email_taken``; ``conflict/request_key_reused`` with another address, or
            ``conflict/request_in_progress``; ``not_found/user_not_found`` if the account was deleted meanwhile;
            ``unavailable/…`` while the accounts cannot be reached
        """
        may_invite = self.caller.has_role("admin")
        user = create_user(self.ports, email=email, name=name, request_key=request_key, may_invite=may_invite)
        return {"accepted": True} if user is None else dict(CREATED_USER.dump(user))

    @rpc(allow=system, idempotent=True)
    def get_statistics(self, day: str) -> dict[str, Any]:
        """Return how many accounts were made on a day, invited ones included.

        :param day: a UTC day, ``YYYY-MM-DD``
        :returns: ``{"day", "registrations"}``; 0 for a day on which nothing happened
        :raises Fault: ``invalid/invalid_day``
        """
        return dict(DAY_STATISTICS.dump(get_statistics(self.ports, day=day)))

    @event_handler("auth_svc", "user.registered")
    def on_user_registered(self, event: dict[str, Any]) -> None:
        """Open the profile of a new account."""
        account = event["data"]
        open_profile(
            self.ports,
            event_id=event["id"],
            user_id=account["id"],
            email=account["email"],
            name=account["name"],
            sequence=event["sequence"],
            invited=account["status"] == "invited",
        )

    @event_handler("auth_svc", "user.registered")
    def on_user_registered_count(self, event: dict[str, Any]) -> None:
        """Count a new account."""
        note_arrival(self.ports, event_id=event["id"], occurred_at=event["occurred_at"])

    @event_handler("auth_svc", "user.claimed")
    def on_user_claimed(self, event: dict[str, Any]) -> None:
        """Take over the address of an account that its owner claimed, and its name unless they chose another."""
        account = event["data"]
        self._follow(event, email=account["email"], name=account["name"])

    @event_handler("auth_svc", "user.email.verified")
    def on_user_email_verified(self, event: dict[str, Any]) -> None:
        """Take over the address that was verified."""
        self._follow(event, email=event["data"]["email"])

    @event_handler("auth_svc", "user.email.changed")
    def on_user_email_changed(self, event: dict[str, Any]) -> None:
        """Take over the account's new address."""
        self._follow(event, email=event["data"]["email"])

    @event_handler("auth_svc", "user.disabled")
    def on_user_disabled(self, event: dict[str, Any]) -> None:
        """Hide the profile of an account that may not be used."""
        self._follow(event, disabled=True)

    @event_handler("auth_svc", "user.enabled")
    def on_user_enabled(self, event: dict[str, Any]) -> None:
        """Show the profile of an account that may be used again."""
        self._follow(event, disabled=False)

    def _follow(self, event: dict[str, Any], **facts: Any) -> None:
        follow_account(
            self.ports, event_id=event["id"], user_id=event["data"]["id"], sequence=event["sequence"], **facts
        )

    @event_handler("auth_svc", "user.deleted")
    def on_user_deleted(self, event: dict[str, Any]) -> None:
        """Remove the profile of a deleted account; a tombstone keeps it from coming back."""
        close_profile(self.ports, event_id=event["id"], user_id=event["data"]["id"])

"""users_svc on the broker: profiles."""

from __future__ import annotations

from typing import Any

from lib.access import anyone, owner
from lib.caller import Caller
from lib.rpc import rpc
from users_svc.application.edit_profile import edit_profile
from users_svc.application.get_profile import get_profile
from users_svc.application.get_user import get_user
from users_svc.application.ports import Ports
from users_svc.presentation.schemas import OWN_PROFILE, PROFILE, USER


class ProfileRpc:
    """Part of `UsersService`."""

    ports: Ports
    caller: Caller

    @rpc(allow=anyone, idempotent=True)
    def get_user(self, user_id: str) -> dict[str, Any]:
        """Return what the caller may see of a user.

        :param user_id: the id of the account, a UUID
        :returns: ``{"id", "private", "created_at", "followers_count", "following_count", "relationship"}`` and those
            fields of the profile whose audience the caller belongs to; ``relationship`` is ``{"id", "following",
            "followed_by", "requested", "requested_by", "blocking", "muting"}``, null for an anonymous caller and for
            the user themselves
        :raises Fault: ``not_found/user_not_found``, also for what is no UUID, for somebody who blocks the caller, and
            for a disabled account unless its owner or an admin asks
        """
        user = get_user(self.ports, user_id=user_id, viewer_id=self.caller.id, is_admin=self.caller.has_role("admin"))
        return {**PROFILE.dump(user.fields), **USER.dump(user)}

    @rpc(allow=owner("user_id"), idempotent=True)
    def get_profile(self, user_id: str) -> dict[str, Any]:
        """Return a person's own profile; it is there as soon as the account is, and until it is deleted.

        :param user_id: the id of the account, a UUID; only its owner may ask
        :returns: ``{"id", "email", "handle", "display_name", "bio", "avatar_url", "location", "website",
            "birth_date", "locale", "time_zone", "visibility", "discoverable", "findable_by_email", "private",
            "created_at", "updated_at", "version", "followers_count", "following_count"}``; what nobody has entered is
            null, and ``visibility`` has the fields whose audience the owner has chosen
        :raises Fault: ``not_found/user_not_found``; ``unavailable/…`` if the profile is new and the accounts cannot
            be reached
        """
        return dict(OWN_PROFILE.dump(get_profile(self.ports, user_id=user_id)))

    @rpc(allow=owner("user_id"))
    def update_profile(
        self, user_id: str, changes: dict[str, Any], expected_version: int | None = None
    ) -> dict[str, Any]:
        """Change a person's own profile: all of the changes, or none.

        Going from private to public accepts everybody who waits to follow.

        :param user_id: the id of the account, a UUID; only its owner may
        :param changes: a merge patch (RFC 7396): new values by field, null for none; ``visibility`` is merged, too.
            Fields: ``handle``, ``display_name``, ``bio``, ``avatar_url``, ``location``, ``website``, ``birth_date``,
            ``locale``, ``time_zone``, ``visibility``, ``discoverable``, ``findable_by_email``, ``private``
        :param expected_version: the ``version`` that the changes are meant for; without it, any
        :returns: as `get_profile`
        :raises Fault: ``invalid/invalid_profile``, with ``errors``; ``conflict/handle_taken``;
            ``conflict/handle_changed_recently``, with ``retry_after``; ``stale/stale``; ``not_found/user_not_found``;
            ``unavailable/…`` if the profile is new and the accounts cannot be reached
        """
        edited = edit_profile(self.ports, user_id=user_id, changes=changes, expected_version=expected_version)
        return dict(OWN_PROFILE.dump(edited))

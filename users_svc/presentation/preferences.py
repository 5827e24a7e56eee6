"""users_svc on the broker: preferences."""

from __future__ import annotations

from typing import Any

from lib.access import anyone, owner
from lib.caller import Caller
from lib.rpc import rpc
from users_svc.application.get_preferences import get_preferences
from users_svc.application.ports import Ports
from users_svc.application.unsubscribe import unsubscribe
from users_svc.application.update_preferences import update_preferences
from users_svc.domain.preference_records import PreferenceRecord


class PreferenceRpc:
    """Part of `UsersService`."""

    ports: Ports
    caller: Caller

    @rpc(allow=owner("user_id"), idempotent=True)
    def get_preferences(self, user_id: str, kind: str = "preferences") -> dict[str, Any]:
        """Return a person's preferences, settings or notification preferences.

        :param user_id: the id of the account, a UUID; only its owner may ask
        :param kind: ``preferences``, ``settings`` or ``notification_preferences``
        :returns: every value, the default where nothing was chosen, with ``schema_version`` and with ``version``, which
            counts the changes and is 0 before the first; ``preferences``: ``theme``, ``language``, ``time_format``,
            ``date_format``, ``start_of_week``, ``items_per_page``; ``settings``: ``show_online``,
            ``allow_mentions_from``, ``auto_accept_follow_requests``, ``hide_network``; ``notification_preferences``:
            ``types`` as ``{type: {"in_app", "email"}}`` and ``quiet_hours`` as ``{"enabled", "from", "to"}``, times in
            the time zone of the profile
        :raises Fault: ``not_found/user_not_found`` for what is no UUID; ``not_found/unknown_kind``
        """
        return _shown(get_preferences(self.ports, user_id=user_id, kind=kind))

    @rpc(allow=owner("user_id"))
    def update_preferences(
        self,
        user_id: str,
        changes: dict[str, Any],
        kind: str = "preferences",
        expected_version: int | None = None,
    ) -> dict[str, Any]:
        """Change a person's preferences, settings or notification preferences.

        :param user_id: the id of the account, a UUID; only its owner may ask
        :param changes: a merge patch (RFC 7396): what is left out stays, null goes back to the default
        :param kind: as of `get_preferences`
        :param expected_version: the ``version`` that the changes are meant for; without it, whatever it is
        :returns: as `get_preferences`, after the change
        :raises Fault: ``stale/stale`` if the version is another one; ``invalid/unknown_field``,
            ``invalid/invalid_preference``, ``invalid/not_optional`` for security notices, all with ``errors``;
            ``not_found/user_not_found``, ``not_found/unknown_kind``; ``unavailable/…`` if the profile is new and the
            accounts cannot be reached
        """
        record = update_preferences(
            self.ports, user_id=user_id, kind=kind, changes=changes, expected_version=expected_version
        )
        return _shown(record)

    @rpc(allow=anyone, idempotent=True, sensitive_arguments=("token",))
    def unsubscribe(self, token: str) -> dict[str, Any]:
        """End the mails of one type to one person, by the token in a mail's List-Unsubscribe header (RFC 8058).

        :param token: as it stands in the link
        :returns: nothing, the same each time
        :raises Fault: ``invalid/invalid_unsubscribe_token``
        """
        unsubscribe(self.ports, token=token)
        return {}


def _shown(record: PreferenceRecord) -> dict[str, Any]:
    return {**record.values(), "schema_version": record.kind.schema_version, "version": record.version}

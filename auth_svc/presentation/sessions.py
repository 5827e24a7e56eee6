"""Sessions by RPC: ended by their owner."""

from __future__ import annotations

from typing import Any

from auth_svc.application.ports import Ports
from auth_svc.application.sign_out import end_session, sign_out
from lib.access import owner
from lib.rpc import rpc


class SessionRpc:
    """Part of `AuthService`."""

    ports: Ports

    @rpc(allow=owner("user_id"), idempotent=True)
    def logout(self, user_id: str, session_id: str, scope: str = "local") -> dict[str, Any]:
        """End sessions of an account; those that have ended already are no error.

        :param user_id: the account
        :param session_id: the session that asks: the access token's ``sid``
        :param scope: ``local`` this session, ``others`` all but this, ``global`` all
        :returns: ``{}``
        :raises Fault: invalid/invalid_scope, invalid/invalid_session_id; not_found/account_not_found if there is no
            such account
        """
        sign_out(self.ports, user_id=user_id, session_id=session_id, scope=scope)
        return {}

    @rpc(allow=owner("user_id"), idempotent=True)
    def end_session(self, user_id: str, session_id: str) -> dict[str, Any]:
        """End one session of an account; one that has ended already is no error.

        :param user_id: the account
        :param session_id: as `list_sessions` shows it
        :returns: ``{}``
        :raises Fault: not_found/session_not_found, also for a session of somebody else
        """
        end_session(self.ports, user_id=user_id, session_id=session_id)
        return {}

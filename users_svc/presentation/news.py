"""users_svc on the broker: what people are told of, out of the events of all services.

What goes into a notification's ``data`` is said here, in the words of the events. No name, no address: those who are
named there may change or go.
"""

from __future__ import annotations

from typing import Any

from lib.events import event_handler
from users_svc.application.notify import notify
from users_svc.application.ports import Ports

#: the owner's own doing, on the very device that they look at
OWN_LOGOUT = "logout"
#: why one session ended that somebody else may have held, too
REFRESH_REUSED = "refresh_reused"
#: reasons why all sessions have ended that come with a mail of their own: auth_svc's about the password or the address,
#: ours about the roles; and one for which the account is closed, and gets none
MAILED_OTHERWISE = frozenset({"password_reset", "password_change", "email_revert", "roles", "disabled"})


class NewsHandlers:
    """Part of `UsersService`."""

    ports: Ports

    def _tell(
        self,
        event: dict[str, Any],
        type: str,
        *,
        whom: str,
        by: str | None = None,
        names: tuple[str, ...] = (),
        mailed_otherwise: bool = False,
    ) -> None:
        """:param whom: the member of the event's data that holds whom to tell
        :param by: the member that holds who did it
        :param names: members that go on as they are
        :param mailed_otherwise: another mail tells the same thing
        """
        data = event["data"]
        notify(
            self.ports,
            event_id=event["id"],
            occurred_at=event["occurred_at"],
            user_id=data[whom],
            type=type,
            actor_id=None if by is None else data[by],
            data={name: data[name] for name in names},
            mailed_otherwise=mailed_otherwise,
        )

    @event_handler("users_svc", "user.followed")
    def on_user_followed(self, event: dict[str, Any]) -> None:
        """Tell somebody that they have a new follower."""
        self._tell(event, "followed", whom="followee_id", by="follower_id")

    @event_handler("users_svc", "user.follow_requested")
    def on_user_follow_requested(self, event: dict[str, Any]) -> None:
        """Tell the owner of a private account that somebody asks to follow them."""
        self._tell(event, "follow_requested", whom="target_id", by="requester_id")

    @event_handler("users_svc", "user.follow_accepted")
    def on_user_follow_accepted(self, event: dict[str, Any]) -> None:
        """Tell who asked to follow somebody that they do so now."""
        self._tell(event, "follow_accepted", whom="requester_id", by="target_id")

    @event_handler("payments_svc", "payment.succeeded")
    def on_payment_succeeded(self, event: dict[str, Any]) -> None:
        """Tell the payer that they have paid."""
        self._tell_of_payment(event, "payment_succeeded")

    @event_handler("payments_svc", "payment.failed")
    def on_payment_failed(self, event: dict[str, Any]) -> None:
        """Tell the payer that they could not pay."""
        self._tell_of_payment(event, "payment_failed", "decline_code")

    @event_handler("payments_svc", "payment.refunded")
    def on_payment_refunded(self, event: dict[str, Any]) -> None:
        """Tell the payer that they get money back."""
        self._tell_of_payment(event, "payment_refunded", "refund_id")

    @event_handler("payments_svc", "payment.refund_failed")
    def on_payment_refund_failed(self, event: dict[str, Any]) -> None:
        """Tell the payer that money that was to come back does not."""
        self._tell_of_payment(event, "payment_refund_failed", "refund_id", "failure_code")

    def _tell_of_payment(self, event: dict[str, Any], type: str, *more: str) -> None:
        data = event["data"]
        told = {"payment_id": data["id"], **{name: data[name] for name in ("amount", "currency", *more)}}
        notify(
            self.ports,
            event_id=event["id"],
            occurred_at=event["occurred_at"],
            user_id=data["user_id"],
            type=type,
            data=told,
        )

    @event_handler("auth_svc", "user.password.changed")
    def on_user_password_changed(self, event: dict[str, Any]) -> None:
        """Tell the owner of an account that its password has changed."""
        self._tell(event, "password_changed", whom="id", names=("method",))

    @event_handler("auth_svc", "user.email.changed")
    def on_user_email_changed_news(self, event: dict[str, Any]) -> None:
        """Tell the owner of an account that its address has changed."""
        self._tell(event, "email_changed", whom="id")

    @event_handler("auth_svc", "user.roles.changed")
    def on_user_roles_changed(self, event: dict[str, Any]) -> None:
        """Tell the owner of an account what it may do from now on."""
        self._tell(event, "roles_changed", whom="id", names=("roles",))

    @event_handler("auth_svc", "session.revoked")
    def on_session_revoked(self, event: dict[str, Any]) -> None:
        """Tell the owner of an account that all of its sessions have ended, unless that is what they asked for, or that
        one has because two had its refresh token."""
        reason = event["data"]["reason"]
        if "session_id" in event["data"]:
            if reason == REFRESH_REUSED:
                self._tell(event, "refresh_reused", whom="user_id", names=("session_id",))
        elif reason != OWN_LOGOUT:
            mailed = reason in MAILED_OTHERWISE
            self._tell(event, "sessions_ended", whom="user_id", names=("reason",), mailed_otherwise=mailed)

    @event_handler("auth_svc", "user.login.failed")
    def on_user_login_failed(self, event: dict[str, Any]) -> None:
        """Tell the owner of an account that so many sign-ins have failed that it is locked for a while."""
        if event["data"]["locked"]:
            self._tell(event, "login_locked", whom="id", names=("method",))

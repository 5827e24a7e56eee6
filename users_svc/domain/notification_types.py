"""What people are told of, and by which channels unless they say otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Channel = Literal["in_app", "email"]
CHANNELS: tuple[Channel, ...] = ("in_app", "email")


@dataclass(frozen=True)
class NotificationType:
    """:param security: cannot be switched off, knows no quiet hours, and its mail leaves at once, read or not: whoever
        has broken in would read it first
    :param by_default: the channels of somebody who has chosen nothing
    :param mailed_by_auth: auth_svc sends the mail, to the address that it knows first, so none leaves from here
    :param stands_while: for what another person did and can undo: the field of the reader's `Relationship` to them that
        says that it still is so
    """

    name: str
    security: bool = False
    by_default: tuple[Channel, ...] = ("in_app",)
    mailed_by_auth: bool = False
    stands_while: Literal["following", "followed_by", "requested_by"] | None = None

    @property
    def social(self) -> bool:
        """Whether strangers can cause it as often as they like."""
        return self.stands_while is not None


TYPES: dict[str, NotificationType] = {
    each.name: each
    for each in (
        NotificationType("followed", stands_while="followed_by"),
        NotificationType("follow_requested", stands_while="requested_by"),
        NotificationType("follow_accepted", stands_while="following"),
        NotificationType("payment_succeeded", by_default=CHANNELS),
        NotificationType("payment_failed", by_default=CHANNELS),
        NotificationType("payment_refunded", by_default=CHANNELS),
        NotificationType("payment_refund_failed", by_default=CHANNELS),
        NotificationType("password_changed", security=True, by_default=CHANNELS, mailed_by_auth=True),
        NotificationType("email_changed", security=True, by_default=CHANNELS, mailed_by_auth=True),
        NotificationType("refresh_reused", security=True, by_default=CHANNELS, mailed_by_auth=True),
        NotificationType("sessions_ended", security=True, by_default=CHANNELS),
        NotificationType("login_locked", security=True, by_default=CHANNELS),
        NotificationType("roles_changed", security=True, by_default=CHANNELS),
    )
}

SECURITY_TYPES: tuple[str, ...] = tuple(each.name for each in TYPES.values() if each.security)

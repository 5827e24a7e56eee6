"""What people are told of, and by which channels unless they say otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Channel = Literal["in_app", "email"]
CHANNELS: tuple[Channel, ...] = ("in_app", "email")


@dataclass(frozen=True)
class NotificationType:
    """:param security: cannot be switched off, and knows no quiet hours
    :param by_default: the channels of somebody who has chosen nothing
    """

    name: str
    security: bool = False
    by_default: tuple[Channel, ...] = ("in_app",)


# A security notice has no mail from here: auth_svc has sent one to the address, which it knows first.
TYPES: dict[str, NotificationType] = {
    each.name: each
    for each in (
        NotificationType("followed"),
        NotificationType("follow_requested"),
        NotificationType("follow_accepted"),
        NotificationType("payment_succeeded", by_default=("in_app", "email")),
        NotificationType("payment_failed", by_default=("in_app", "email")),
        NotificationType("payment_refunded", by_default=("in_app", "email")),
        NotificationType("password_changed", security=True),
        NotificationType("email_changed", security=True),
        NotificationType("sessions_ended", security=True),
        NotificationType("login_locked", security=True),
        NotificationType("roles_changed", security=True),
    )
}

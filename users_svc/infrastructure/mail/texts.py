"""What each type of mail says: once, for the plain and for the HTML form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """`{site}` stands for the name of who sends, `{actor}` for who did it, `{amount}` for how much it is about.

    :param subject: without the site, which comes first
    :param kind: completes "Mails about …"
    """

    subject: str
    opening: str
    kind: str


# A type that is not here is never mailed (`users_svc.domain.notification_types`).
TEXTS: dict[str, Text] = {
    "followed": Text(
        subject="{actor} follows you", opening="{actor} follows you at {site} from now on.", kind="new followers"
    ),
    "follow_requested": Text(
        subject="{actor} would like to follow you",
        opening="{actor} would like to follow you at {site}. Sign in to accept or to decline.",
        kind="people who would like to follow you",
    ),
    "follow_accepted": Text(
        subject="{actor} has accepted your request",
        opening="{actor} has accepted that you follow them at {site}.",
        kind="accepted requests",
    ),
    "payment_succeeded": Text(
        subject="you have paid {amount}", opening="Your payment of {amount} was successful.", kind="payments"
    ),
    "payment_failed": Text(
        subject="your payment of {amount} has failed",
        opening="Your payment of {amount} has failed; nothing was charged.",
        kind="payments that fail",
    ),
    "payment_refunded": Text(
        subject="you get {amount} back", opening="You get {amount} of your payment back.", kind="refunds"
    ),
}

"""What each type of mail says: once, for the plain and for the HTML form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """`{site}` stands for the name of who sends, `{actor}` for who did it, `{amount}` for how much it is about.

    :param subject: without the site, which comes first
    :param kind: completes "No more mails about …"; empty for those that nobody can end
    :param otherwise: of a mail about the account's security: what to do if it was not the reader
    """

    subject: str
    opening: str
    kind: str = ""
    otherwise: str = ""


# A type that is not here is mailed by auth_svc (`users_svc.domain.notification_types`).
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
    "payment_refund_failed": Text(
        subject="your refund of {amount} has failed",
        opening="{amount} of your payment was to come back to you, and could not be given back.",
        kind="refunds that fail",
    ),
    "login_locked": Text(
        subject="too many failed sign-ins",
        opening="Somebody has tried to sign in to your account at {site} with wrong passwords, so often that further "
        "tries are not looked at for a while.",
        otherwise="If it was you, try again later, or choose a new password. If it was not you: nobody has come in by "
        "these tries, and a password that is long and used nowhere else keeps it so.",
    ),
    "roles_changed": Text(
        subject="your rights have changed",
        opening="An administrator has changed what you may do at {site}.",
        otherwise="If you did not expect it, ask your administrator.",
    ),
    "sessions_ended": Text(
        subject="we have signed out all of your devices",
        opening="All of your devices were signed out of your account at {site}. Please sign in again.",
        otherwise="If you do not know why, choose a new password before you sign in.",
    ),
}

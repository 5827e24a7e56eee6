"""What each kind of mail says: once, for the plain and for the HTML form.

Plain letters only: a mail whose reader has an ASCII name travels as it is written here, readable in any log of a mail
server's queue and with any tool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from auth_svc.domain.mail import MailKind

#: the page that asks for a new password; it needs no token
HELP: Final = "forgot-password"

Page = Literal["verify-email", "claim", "reset-password", "confirm-email", "revert-email", "forgot-password"]


@dataclass(frozen=True)
class Text:
    """`{site}` stands for the name of who sends.

    :param opening: what has happened, or what is asked for
    :param page: of the gateway, where the link leads
    :param link: what the link does
    :param otherwise: what to do if it was not the reader
    :param remedy: the link is meant for those whom it was not, so it stands after `otherwise`
    """

    subject: str
    opening: str
    page: Page
    link: str
    otherwise: str
    remedy: bool = False

    @property
    def has_token(self) -> bool:
        return self.page != HELP


TEXTS: dict[MailKind, Text] = {
    "verification": Text(
        subject="{site}: confirm your e-mail address",
        opening="Please confirm that this is the e-mail address of your account at {site}.",
        page="verify-email",
        link="Confirm the address",
        otherwise="If you have no account at {site}, somebody has typed your address, perhaps by mistake. You need "
        "not do anything: without you it will not be confirmed.",
    ),
    "claim": Text(
        subject="{site}: you are invited",
        opening="You are invited to {site}. An account for this e-mail address is ready; choose a password and it "
        "is yours.",
        page="claim",
        link="Accept the invitation",
        otherwise="If you do not want it, ignore this mail: an invitation that nobody accepts goes away by itself.",
    ),
    "password_reset": Text(
        subject="{site}: choose a new password",
        opening="Somebody, probably you, has asked for a new password for your account at {site}.",
        page="reset-password",
        link="Choose a new password",
        otherwise="If it was not you, ignore this mail: your password stays as it is.",
    ),
    "password_changed": Text(
        subject="{site}: your password was changed",
        opening="The password of your account at {site} was changed.",
        page=HELP,
        link="Choose a new password",
        otherwise="If it was you, all is well. If it was not you, choose a new password at once; this also signs out "
        "every device.",
        remedy=True,
    ),
    "email_change": Text(
        subject="{site}: confirm your new e-mail address",
        opening="Please confirm that your account at {site} shall have this e-mail address from now on.",
        page="confirm-email",
        link="Confirm the new address",
        otherwise="If you have not asked for it, ignore this mail: nothing changes without you.",
    ),
    "email_change_notice": Text(
        subject="{site}: your e-mail address is being changed",
        opening="Somebody, probably you, is changing the e-mail address of your account at {site}. This mail goes to "
        "the old address.",
        page="revert-email",
        link="Keep the old address",
        otherwise="If it was you, all is well. If it was not you, undo it here, also if the change is already made, "
        "and then choose a new password.",
        remedy=True,
    ),
    "account_exists": Text(
        subject="{site}: you already have an account",
        opening="Somebody, probably you, wanted to use this e-mail address at {site}. It has an account there already: "
        "just sign in.",
        page=HELP,
        link="Choose a new password",
        otherwise="If you do not know your password any more, choose a new one here. If it was not you, you need not "
        "do anything: nothing has changed.",
        remedy=True,
    ),
    "new_device": Text(
        subject="{site}: new sign-in to your account",
        opening="Somebody, probably you, has signed in to your account at {site} from a device that we have not seen "
        "before.",
        page=HELP,
        link="Choose a new password",
        otherwise="If it was you, all is well. If it was not you, choose a new password at once; this also signs out "
        "every device.",
        remedy=True,
    ),
    "session_ended": Text(
        subject="{site}: we have signed out one of your devices",
        opening="A key that one of your devices uses at {site} was used a second time. That happens when somebody has "
        "copied it, so it does not work any more. Please sign in again on that device.",
        page=HELP,
        link="Choose a new password",
        otherwise="If you know why, because you have restored a backup, say, all is well. If you do not, choose a new "
        "password; this also signs out every device.",
        remedy=True,
    ),
}

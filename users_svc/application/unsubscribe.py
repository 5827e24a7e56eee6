"""The link in a mail is used that ends the mails of its type."""

from __future__ import annotations

from users_svc.application.ports import Ports
from users_svc.domain.notification_preferences import NOTIFICATION_PREFERENCES, InvalidUnsubscribeToken, without_mails


def unsubscribe(ports: Ports, *, token: str) -> None:
    """Send the person no more mails of the token's type. What they are told otherwise stays, and all other mails.

    Nobody is signed in: whoever has the mail may do this, which its owner can undo. Who is gone gets no mails anyway.

    :raises InvalidUnsubscribeToken: it is none of ours
    """
    meant = ports.unsubscribe_tokens.read(token)
    if meant is None:
        raise InvalidUnsubscribeToken("this link is not whole, or not one of ours")
    user_id, type_name = meant
    patch = without_mails(type_name)
    with ports.unit_of_work() as uow:
        record = uow.preferences.lock(user_id, NOTIFICATION_PREFERENCES)
        if record is not None and record.change(patch, now=ports.now()):
            uow.preferences.save(record)
            uow.commit()

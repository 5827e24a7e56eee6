"""Somebody adds a user: an account that its owner still has to claim, and its profile."""

from __future__ import annotations

from users_svc.application.open_profile import profile_of
from users_svc.application.ports import Ports
from users_svc.domain.identity import check_invitation, check_request_key
from users_svc.domain.profile import Profile
from users_svc.domain.text import clean_name


def create_user(
    ports: Ports, *, email: str, name: str, request_key: str | None = None, may_invite: bool = False
) -> Profile | None:
    """Reserve the account first, then open its profile.

    None where nobody is told who has an account: a profile opened now would tell, so it is left to the event.

    A crash in between leaves an account without a profile; the account's own event, or the same call again with the
    same `request_key`, opens it.

    :param may_invite: the caller may add users even where not everybody may
    """
    check_invitation(open_to_all=ports.open_invitations, may_invite=may_invite)
    wanted = clean_name(name)
    key = str(ports.new_id()) if request_key is None else check_request_key(request_key)
    account = ports.identities.reserve_account(email=email, name=wanted, request_key=key)
    return None if account is None else profile_of(ports, account)

"""Somebody changes their own profile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from users_svc.application.get_profile import get_profile
from users_svc.application.open_profile import profile_of
from users_svc.application.ports import Ports
from users_svc.domain.connection import Opening
from users_svc.domain.handle import QUARANTINE
from users_svc.domain.profile import UserNotFound, parse_user_id
from users_svc.domain.profile_edit import ProfileChanged, ProfileEdit


def edit_profile(
    ports: Ports, *, user_id: str, changes: Mapping[str, Any], expected_version: int | None = None
) -> Mapping[str, Any]:
    """Take over the changes, all or none, and return the own profile as it is then.

    :param changes: a merge patch (RFC 7396)
    :param expected_version: the version that the changes are meant for; None for any
    """
    wanted, now = parse_user_id(user_id), ports.now()
    edit = ProfileEdit.of(changes, today=now.date())
    try:
        _change(ports, wanted, edit, expected_version, now)
    except UserNotFound:
        # The news of the account may not have come yet.
        profile_of(ports, ports.identities.get_account(wanted))
        _change(ports, wanted, edit, expected_version, now)
    return get_profile(ports, user_id=user_id)


def _change(ports: Ports, user_id: UUID, edit: ProfileEdit, expected_version: int | None, now: datetime) -> None:
    with ports.unit_of_work() as uow:
        profile = uow.profiles.get(user_id)
        if profile is None:
            raise UserNotFound("there is no such user")
        if expected_version not in (None, profile.version):
            raise ProfileChanged
        given_up, was_private, holder = profile.handle_key, profile.private, None
        if edit.handle is not None:
            holder = uow.handles.holder(edit.handle.key, retired_after=now - QUARANTINE)
        profile.edit(edit, holder=holder, now=now)
        if profile.handle_key != given_up:
            uow.handles.move(user_id, given_up=given_up, taken=profile.handle_key, now=now)
        if was_private and not profile.private:
            # Those who wait are settled by whoever hears of it: there may be very many.
            uow.announce(Opening(ports.new_id(), user_id))
        uow.commit()

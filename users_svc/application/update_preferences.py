"""Somebody changes their preferences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from users_svc.application.open_profile import profile_of
from users_svc.application.ports import Ports
from users_svc.domain.connection import Opening
from users_svc.domain.preference_records import PreferenceRecord
from users_svc.domain.preferences import accepts_followers, parse_kind
from users_svc.domain.profile import UserNotFound, parse_user_id


def update_preferences(
    ports: Ports, *, user_id: str, kind: str, changes: Mapping[str, Any], expected_version: int | None = None
) -> PreferenceRecord:
    """Take over a merge patch and return the record as it is then; null goes back to the default.

    The profile may not be there yet: the account's event is on its way. It is opened then.

    :param expected_version: of the record that the changes are meant for; None: whatever it is
    """
    owner, of_kind = parse_user_id(user_id), parse_kind(kind)
    if ports.profiles.find(owner) is None:
        profile_of(ports, ports.identities.get_account(owner))
    with ports.unit_of_work() as uow:
        record = uow.preferences.lock(owner, of_kind)
        if record is None:
            raise UserNotFound("there is no such user")
        did_accept = accepts_followers(record)
        if record.change(changes, now=ports.now(), expected_version=expected_version):
            uow.preferences.save(record)
            if accepts_followers(record) and not did_accept:
                uow.announce(Opening(ports.new_id(), owner))
            uow.commit()
    return record

"""Somebody looks at a user."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from users_svc.application.note_inspection import note_inspection
from users_svc.application.ports import Ports
from users_svc.domain.profile import UserNotFound, is_shown, parse_user_id
from users_svc.domain.relationship import Relationship
from users_svc.domain.visibility import viewer_of, visible_fields


@dataclass(frozen=True)
class User:
    """A user as a viewer sees them.

    :param fields: those of the profile that the viewer may see
    :param relationship: None for a viewer who is not signed in, and for the user themselves
    """

    fields: dict[str, Any]
    followers_count: int
    following_count: int
    relationship: Relationship | None


def get_user(ports: Ports, *, user_id: str, viewer_id: str | None = None, is_admin: bool = False) -> User:
    """Return what the viewer may see of the user.

    The user of a disabled account is not there, but for themselves and for administrators; nor is one who blocks the
    viewer. Nothing tells that from an id that nobody has. Where an administrator sees somebody all the same, that is
    noted for the audit trail first.

    :param viewer_id: who looks; None for somebody who is not signed in
    :param is_admin: an administrator looks, whom nobody can block
    """
    wanted = parse_user_id(user_id)
    viewer = None if viewer_id is None else UUID(viewer_id)
    found = ports.people.view(wanted, viewer)
    is_there = found is not None and is_shown(found, viewer_id=viewer_id, sees_disabled=False)
    if found is None and is_admin:
        found = ports.people.view(wanted, None)
    if found is None or not (is_there or is_admin):
        raise UserNotFound("there is no such user")
    if viewer is not None and not is_there:
        note_inspection(ports, actor_id=viewer, seen=[wanted])
    kind = viewer_of(found, viewer_id, is_admin=is_admin)
    related = viewer is not None and kind != "owner"
    return User(
        visible_fields(found, kind),
        found["followers_count"],
        found["following_count"],
        Relationship(**{each.name: found[each.name] for each in fields(Relationship)}) if related else None,
    )

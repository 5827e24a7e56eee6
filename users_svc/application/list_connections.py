"""Somebody looks at who follows whom, whom they block, and who wants to follow them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any
from uuid import UUID

from users_svc.application.pages import Page, page
from users_svc.application.ports import Ports
from users_svc.domain.connection import NetworkHidden, PrivateAccount
from users_svc.domain.profile import UserNotFound, parse_user_id
from users_svc.domain.relationship import Relationship
from users_svc.domain.visibility import viewer_of, visible_fields

SHOWN = ("id", "handle", "display_name", "avatar_url")
"""What a list has of a person's profile; None for what the person does not show the viewer."""

Rows = Callable[[int, UUID | None], list[dict[str, Any]]]


def list_followers(
    ports: Ports, *, user_id: str, viewer_id: str | None, limit: int = 20, cursor: str | None = None
) -> Page:
    """Return who follows the user, newest first, without those who are disabled or block the viewer.

    Items have what is `SHOWN`, ``since``, and as ``relationship`` a `Relationship`; None for a viewer who is not signed
    in, and for the viewer themselves.

    Raises `UserNotFound`, `PrivateAccount`, `NetworkHidden`, `InvalidLimit`, `InvalidCursor`.
    """
    wanted, viewer = _visible(ports, user_id, viewer_id)

    def followers(most: int, before: UUID | None) -> list[dict[str, Any]]:
        return ports.connections.followers(wanted, viewer, most, before)

    return _people(followers, viewer, of=f"followers:{wanted}", limit=limit, cursor=cursor)


def list_following(
    ports: Ports, *, user_id: str, viewer_id: str | None, limit: int = 20, cursor: str | None = None
) -> Page:
    """Return whom the user follows; see `list_followers`."""
    wanted, viewer = _visible(ports, user_id, viewer_id)

    def following(most: int, before: UUID | None) -> list[dict[str, Any]]:
        return ports.connections.following(wanted, viewer, most, before)

    return _people(following, viewer, of=f"following:{wanted}", limit=limit, cursor=cursor)


def list_blocks(ports: Ports, *, user_id: str, limit: int = 20, cursor: str | None = None) -> Page:
    """Return whom the user blocks, newest first."""
    wanted = parse_user_id(user_id)

    def blocked(most: int, before: UUID | None) -> list[dict[str, Any]]:
        return ports.connections.blocked(wanted, most, before)

    return _people(blocked, wanted, of=f"blocks:{wanted}", limit=limit, cursor=cursor)


def list_follow_requests(ports: Ports, *, user_id: str, limit: int = 20, cursor: str | None = None) -> Page:
    """Return who has asked to follow the user, newest first."""
    wanted = parse_user_id(user_id)

    def requesters(most: int, before: UUID | None) -> list[dict[str, Any]]:
        return ports.connections.requesters(wanted, most, before)

    return _people(requesters, wanted, of=f"follow-requests:{wanted}", limit=limit, cursor=cursor)


def _visible(ports: Ports, user_id: str, viewer_id: str | None) -> tuple[UUID, UUID | None]:
    """Return the two ids, if the viewer may see the lists."""
    wanted = parse_user_id(user_id)
    viewer = None if viewer_id is None else parse_user_id(viewer_id)
    found = ports.connections.network(wanted, viewer)
    if found is None:
        raise UserNotFound("there is no such user")
    if wanted != viewer:
        if found["hidden"]:
            raise NetworkHidden("this user shows nobody these lists")
        if found["private"] and not found["following"]:
            raise PrivateAccount("only followers see these lists of a private account")
    return wanted, viewer


def _people(rows: Rows, viewer: UUID | None, *, of: str, limit: int, cursor: str | None) -> Page:
    found = page(rows, of=of, limit=limit, cursor=cursor, by="edge_id")
    return Page([_person(row, viewer) for row in found.data], found.next_cursor)


def _person(row: dict[str, Any], viewer: UUID | None) -> dict[str, Any]:
    visible = visible_fields(row, viewer_of(row, None if viewer is None else str(viewer), is_admin=False))
    related = viewer is not None and viewer != row["id"]
    return {
        **{name: visible.get(name) for name in SHOWN},
        "since": row["since"],
        "relationship": Relationship(**{each.name: row[each.name] for each in fields(Relationship)})
        if related
        else None,
    }

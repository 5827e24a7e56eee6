"""Somebody asks what they and others are to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from users_svc.application.ports import Ports
from users_svc.domain.connection import MOST_RELATIONSHIPS, TooManyIds, check_not_oneself
from users_svc.domain.profile import UserNotFound, parse_user_id
from users_svc.domain.relationship import Relationship


def get_relationship(ports: Ports, *, user_id: str, other_id: str) -> Relationship:
    """Return what the two are to each other. Raises `NotOneself`; `UserNotFound` where there is nobody to see."""
    acting, other = parse_user_id(user_id), parse_user_id(other_id)
    check_not_oneself(acting, other)
    for found in ports.connections.relationships(acting, [other]):
        return Relationship(**found)
    raise UserNotFound("there is no such user")


def get_relationships(ports: Ports, *, user_id: str, ids: Sequence[str]) -> list[Relationship | dict[str, Any]]:
    """Return one item for each of `ids`, in their order: a `Relationship`; ``id`` as it came, and ``not_found``, where
    there is nobody to see.

    Raises `TooManyIds`.
    """
    acting = parse_user_id(user_id)
    if len(ids) > MOST_RELATIONSHIPS:
        detail = f"at most {MOST_RELATIONSHIPS} ids at once"
        raise TooManyIds(detail, errors=[{"pointer": "/ids", "code": TooManyIds.code, "detail": detail}])
    wanted = [_id_of(each) for each in ids]
    rows = ports.connections.relationships(acting, [each for each in wanted if each is not None])
    found: dict[UUID | None, Relationship | dict[str, Any]] = {each["id"]: Relationship(**each) for each in rows}
    return [found.get(other, {"id": named, "not_found": True}) for named, other in zip(ids, wanted, strict=True)]


def _id_of(value: str) -> UUID | None:
    try:
        return parse_user_id(value)
    except UserNotFound:
        return None

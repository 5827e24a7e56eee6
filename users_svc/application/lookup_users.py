"""Somebody has ids or handles of users and wants to see who they are."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from lib.errors import Invalid
from users_svc.application.note_inspection import note_inspection
from users_svc.application.ports import Ports
from users_svc.domain.handle import QUARANTINE, key_of
from users_svc.domain.profile import UserNotFound, is_shown, parse_user_id
from users_svc.domain.visibility import viewer_of, visible_fields

MAX_ASKED = 100
MAX_TEXT = 64


class InvalidLookup(Invalid):
    code = "invalid_lookup"


def lookup_users(
    ports: Ports,
    *,
    ids: object = (),
    handles: object = (),
    viewer_id: str | None = None,
    is_admin: bool = False,
) -> list[dict[str, Any]]:
    """Return one item for each id and then for each handle, in their order.

    An item is what the viewer sees of the user, or the id or handle with ``not_found``. A handle leads to who had it
    as long as nobody else can have it. An administrator sees those of disabled accounts, too; that is noted for the
    audit trail first.

    :param viewer_id: who looks; None for somebody who is not signed in
    """
    asked_ids, asked_handles = _texts("ids", ids), _texts("handles", handles)
    by_id = {each: _id_of(each) for each in asked_ids}
    by_handle = {each: key_of(each) for each in asked_handles}
    found: dict[UUID | str | None, dict[str, Any]] = {}
    hidden: set[UUID] = set()
    viewer = None if viewer_id is None else UUID(viewer_id)
    for row in ports.search.by_ids_and_handles(
        [each for each in by_id.values() if each],
        [each for each in by_handle.values() if each],
        viewer_id=viewer,
        retired_after=ports.now() - QUARANTINE,
    ):
        if not is_shown(row, viewer_id=viewer_id, sees_disabled=is_admin):
            continue
        if not is_shown(row, viewer_id=viewer_id, sees_disabled=False):
            hidden.add(row["id"])
        fields = visible_fields(row, viewer_of(row, viewer_id, is_admin=is_admin))
        key = row["by_key"]
        if key is None:
            found[row["id"]] = fields
        elif "handle" in fields and (key == row["handle_key"] or key not in found):
            # Who has it comes before who had it. Where a handle is not for the viewer, nobody is found by it.
            found[key] = fields
    if viewer is not None:
        note_inspection(ports, actor_id=viewer, seen=sorted(hidden & {each["id"] for each in found.values()}))
    return [
        *(found.get(by_id[each]) or {"id": each, "not_found": True} for each in asked_ids),
        *(found.get(by_handle[each]) or {"handle": each, "not_found": True} for each in asked_handles),
    ]


def _texts(name: str, value: object) -> list[str]:
    texts = list(value) if isinstance(value, list | tuple) else None
    if (
        texts is None
        or len(texts) > MAX_ASKED
        or not all(isinstance(each, str) and len(each) <= MAX_TEXT for each in texts)
    ):
        detail = f"expected a list of at most {MAX_ASKED} texts of at most {MAX_TEXT} characters"
        raise InvalidLookup(detail, errors=[{"pointer": f"/{name}", "code": InvalidLookup.code, "detail": detail}])
    return texts


def _id_of(value: str) -> UUID | None:
    try:
        return parse_user_id(value)
    except UserNotFound:
        return None

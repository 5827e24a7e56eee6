"""What callers get to read about connections: primitives only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lib.ids import rfc3339
from users_svc.application.pages import Page
from users_svc.domain.relationship import Relationship


def relationship_dump(found: Relationship | Mapping[str, Any]) -> dict[str, Any]:
    """Return a relationship, or what stands for one to somebody who is not there."""
    members = asdict(found) if isinstance(found, Relationship) else dict(found)
    return {**members, "id": str(members["id"])}


def people_dump(page: Page) -> dict[str, Any]:
    """Return a page of people."""
    return {"data": [_person(each) for each in page.data], "next_cursor": page.next_cursor}


def _person(person: Mapping[str, Any]) -> dict[str, Any]:
    relationship = person["relationship"]
    return {
        **person,
        "id": str(person["id"]),
        "since": rfc3339(person["since"]),
        "relationship": None if relationship is None else relationship_dump(relationship),
    }

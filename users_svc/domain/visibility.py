"""Who sees which field of a profile: this is the one place that knows.

A viewer whom the owner blocks does not come this far: for them there is no profile (`People.view`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

Audience = Literal["public", "followers", "mutuals", "private"]
Viewer = Literal["owner", "mutual", "follower", "stranger", "anonymous", "admin"]

AUDIENCES: tuple[Audience, ...] = get_args(Audience)
VIEWERS: tuple[Viewer, ...] = get_args(Viewer)

DEFAULT_AUDIENCES: dict[str, Audience] = {
    "handle": "public",
    "display_name": "public",
    "avatar_url": "public",
    "bio": "followers",
    "location": "followers",
    "website": "followers",
    "locale": "followers",
    "time_zone": "followers",
    "email": "private",
    "birth_date": "private",
}
"""The fields whose audience the owner may choose, and who sees them otherwise."""

ALWAYS_SHOWN = ("id", "private", "created_at")
"""What whoever may know of the profile at all sees of it: a client has to know that a follow would be a request."""

OWN_FIELDS = ("visibility", "discoverable", "findable_by_email", "updated_at", "version")
"""What only the owner sees. A new field is seen by nobody until it is named here or above."""

# An administrator has to see what there is to judge, not what was told to friends.
_MEMBERS: dict[str, frozenset[Viewer]] = {
    "public": frozenset(VIEWERS),
    "followers": frozenset({"owner", "mutual", "follower"}),
    "mutuals": frozenset({"owner", "mutual"}),
    "private": frozenset({"owner"}),
}


def viewer_of(profile: Mapping[str, Any], viewer_id: str | None, *, is_admin: bool) -> Viewer:
    """Return what a viewer is to the owner of the profile.

    :param profile: as `People.view` gives it for this viewer: with ``following`` and ``followed_by``
    :param viewer_id: the viewer's account; None for somebody who is not signed in
    """
    if viewer_id is not None and str(profile["id"]) == viewer_id:
        return "owner"
    if profile["following"]:
        return "mutual" if profile["followed_by"] else "follower"
    if is_admin:
        return "admin"
    return "anonymous" if viewer_id is None else "stranger"


def may_see(visibility: Mapping[str, str], name: str, viewer: Viewer) -> bool:
    """Tell whether a viewer sees a field.

    :param visibility: the audiences that the owner has chosen; one that is unknown here is taken for the smallest
    """
    if name in ALWAYS_SHOWN:
        return True
    if name in DEFAULT_AUDIENCES:
        chosen = visibility.get(name, DEFAULT_AUDIENCES[name])
        return viewer in _MEMBERS.get(chosen, _MEMBERS["private"])
    return viewer == "owner" and name in OWN_FIELDS


def visible_fields(profile: Mapping[str, Any], viewer: Viewer) -> dict[str, Any]:
    """Return what a viewer sees of a profile's fields; the others are left out."""
    return {name: value for name, value in profile.items() if may_see(profile["visibility"], name, viewer)}

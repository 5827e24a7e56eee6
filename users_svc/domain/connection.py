"""Who follows, asks, blocks and mutes whom, and what each act changes about that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple
from uuid import UUID, uuid5

from lib.aggregate import Aggregate, DomainEvent
from lib.errors import Conflict, Forbidden, Invalid, NotFound
from users_svc.domain.profile import UserNotFound
from users_svc.domain.relationship import Relationship

MOST_RELATIONSHIPS = 100
"""Most people that can be asked about at once."""


class NotOneself(Invalid):
    code = "not_oneself"


class Blocking(Conflict):
    """Nobody follows whom they block."""

    code = "blocking"


class FollowRequestNotFound(NotFound):
    code = "follow_request_not_found"


class PrivateAccount(Forbidden):
    """Only followers see who follows a private account, and whom it follows."""

    code = "private_account"


class NetworkHidden(Forbidden):
    """The owner shows these lists to nobody."""

    code = "network_hidden"


class TooManyIds(Invalid):
    code = "too_many_ids"


# --- what happened --------------------------------------------------------------------------------------------------
# The subject stands for the connections of who acts (`connections_of`). A block is told to whoever listens on the
# broker only, never to the blocked one; that it ends both follows and all requests between the two is part of it. Mutes
# are nobody's business: they have no event.


@dataclass(frozen=True)
class UserFollowed:
    type: ClassVar[str] = "user.followed"
    schema_version: ClassVar[int] = 1
    follower_id: str
    followee_id: str


@dataclass(frozen=True)
class UserUnfollowed:
    type: ClassVar[str] = "user.unfollowed"
    schema_version: ClassVar[int] = 1
    follower_id: str
    followee_id: str


@dataclass(frozen=True)
class UserBlocked:
    type: ClassVar[str] = "user.blocked"
    schema_version: ClassVar[int] = 1
    blocker_id: str
    blocked_id: str


@dataclass(frozen=True)
class FollowRequested:
    type: ClassVar[str] = "user.follow_requested"
    schema_version: ClassVar[int] = 1
    requester_id: str
    target_id: str


@dataclass(frozen=True)
class FollowAccepted:
    """The requester follows the target from now on; there is no ``user.followed`` beside it."""

    type: ClassVar[str] = "user.follow_accepted"
    schema_version: ClassVar[int] = 1
    requester_id: str
    target_id: str


@dataclass(frozen=True)
class FollowOpened:
    """Nobody has to wait to follow the account any more; who still does will follow in a moment."""

    type: ClassVar[str] = "user.follow_opened"
    schema_version: ClassVar[int] = 1
    id: str


def connections_of(user_id: UUID) -> UUID:
    """Return the subject of the events of a person's connections: the same one always.

    Not the person's own id, under which the events of the profile are numbered: each subject has one numbering, and
    nobody who follows somebody has to wait until a profile is edited.
    """
    return uuid5(user_id, "connections")


# --- the rules ------------------------------------------------------------------------------------------------------


class Edge(NamedTuple):
    """From one person to another."""

    kind: Literal["follow", "request", "block", "mute"]
    source: UUID
    target: UUID


@dataclass(eq=False, repr=False)
class Connection(Aggregate):
    """All that is between two people, for the one who acts, while nobody else can change it.

    To take something back is always possible, and looks the same whether there was something or not, and whoever the
    other one is: nothing tells somebody who blocks from an id that nobody has. For everything else the other one has to
    be there.

    :param user_id: who acts
    :param relationship: to the other one, without what the acting person may not know
    :param visible: there is another one whom the acting person can see: neither disabled nor blocking them
    :param approves: the other one chooses who follows
    :param sequence: of the events of the acting person's connections
    """

    user_id: UUID
    relationship: Relationship
    visible: bool
    approves: bool = False
    sequence: int = 0
    added: list[Edge] = field(default_factory=list)
    removed: list[Edge] = field(default_factory=list)
    id: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.id = connections_of(self.user_id)

    @property
    def other_id(self) -> UUID:
        return self.relationship.id

    @property
    def changed(self) -> bool:
        return bool(self.added or self.removed)

    def follow(self) -> None:
        """Follow the other one, or ask to, where they choose their followers."""
        self._demand_visible()
        if self.relationship.blocking:
            raise Blocking("you block this user; unblock them first")
        if self.relationship.following or (self.approves and self.relationship.requested):
            return
        if self.approves:
            self._add(self._mine("request"), FollowRequested(str(self.user_id), str(self.other_id)))
            return
        if self.relationship.requested:
            self._remove(self._mine("request"))
        self._add(self._mine("follow"), UserFollowed(str(self.user_id), str(self.other_id)))

    def unfollow(self) -> None:
        """Follow no longer, or take the request back."""
        if self.relationship.following:
            self._remove(self._mine("follow"), UserUnfollowed(str(self.user_id), str(self.other_id)))
        elif self.relationship.requested:
            self._remove(self._mine("request"))

    def block(self) -> None:
        """End all that is between the two but the other one's mute, and let nothing new begin.

        The mute stays because it is the other one's: that it is gone would tell them of the block when that is over.
        """
        self._demand_visible()
        relationship = self.relationship
        if relationship.blocking:
            return
        for there, edge in (
            (relationship.following, self._mine("follow")),
            (relationship.followed_by, self._theirs("follow")),
            (relationship.requested, self._mine("request")),
            (relationship.requested_by, self._theirs("request")),
            # Blocked is more than muted; after an unblocking nothing of either is left.
            (relationship.muting, self._mine("mute")),
        ):
            if there:
                self._remove(edge)
        self._add(self._mine("block"), UserBlocked(str(self.user_id), str(self.other_id)))

    def unblock(self) -> None:
        """Let the other one see the acting person again. The follows do not come back."""
        if self.relationship.blocking:
            self._remove(self._mine("block"))

    def mute(self) -> None:
        """Hear no more of the other one, who does not get to know."""
        self._demand_visible()
        if not self.relationship.muting:
            self._add(self._mine("mute"))

    def unmute(self) -> None:
        if self.relationship.muting:
            self._remove(self._mine("mute"))

    def accept(self) -> None:
        """Let the other one, who has asked for it, follow."""
        self._demand_visible()
        if self.relationship.requested_by:
            self._remove(self._theirs("request"))
            self._add(self._theirs("follow"), FollowAccepted(str(self.other_id), str(self.user_id)))
        elif not self.relationship.followed_by:
            raise FollowRequestNotFound("this user has not asked to follow you")

    def reject(self) -> None:
        """Drop the other one's request, who does not get to know."""
        if self.relationship.requested_by:
            self._remove(self._theirs("request"))

    def _demand_visible(self) -> None:
        if not self.visible:
            raise UserNotFound("there is no such user")

    def _mine(self, kind: Literal["follow", "request", "block", "mute"]) -> Edge:
        return Edge(kind, self.user_id, self.other_id)

    def _theirs(self, kind: Literal["follow", "request"]) -> Edge:
        return Edge(kind, self.other_id, self.user_id)

    def _add(self, edge: Edge, *events: DomainEvent) -> None:
        self.added.append(edge)
        for event in events:
            self.record(event)

    def _remove(self, edge: Edge, *events: DomainEvent) -> None:
        self.removed.append(edge)
        for event in events:
            self.record(event)


@dataclass(eq=False, repr=False)
class PendingRequests(Aggregate):
    """Requests to follow one person who lets everybody follow, while nobody else can change them.

    :param requester_ids: oldest request first
    :param more: there may be others
    """

    user_id: UUID
    requester_ids: list[UUID]
    sequence: int = 0
    more: bool = False
    id: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.id = connections_of(self.user_id)

    def accept_all(self) -> None:
        """Let all of them follow."""
        for requester_id in self.requester_ids:
            self.record(FollowAccepted(str(requester_id), str(self.user_id)))


@dataclass(eq=False, repr=False)
class Opening(Aggregate):
    """That somebody lets everybody follow from now on. It has no row, and one event."""

    id: UUID
    user_id: UUID
    sequence: int = 0

    def __post_init__(self) -> None:
        self.record(FollowOpened(str(self.user_id)))


def check_not_oneself(user_id: UUID, other_id: UUID) -> None:
    """Refuse what can only be done to somebody else."""
    if user_id == other_id:
        raise NotOneself("that cannot be done to oneself")

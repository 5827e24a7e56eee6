"""Who may call an RPC method, said where the method stands.

``@rpc(allow=owner("user_id"))`` is checked before a worker is spawned. The default is `system`: a method that says
nothing can be called by operators, services and jobs, and by no token. The system actor passes every policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lib.context import Actor, NotAllowed, NotSignedIn

Policy = Callable[[Actor, Mapping[str, Any]], None]


def anyone(actor: Actor, arguments: Mapping[str, Any]) -> None:
    """Everybody, signed in or not."""


def signed_in(actor: Actor, arguments: Mapping[str, Any]) -> None:
    """Any account with a valid access token."""
    if actor.is_anonymous:
        raise NotSignedIn("this needs an access token")


def system(actor: Actor, arguments: Mapping[str, Any]) -> None:
    """Operators, services and jobs only."""
    if not actor.is_system:
        raise NotAllowed("this is not open to clients")


def owner(argument: str) -> Policy:
    """The account whose id is the call's `argument` (as a string), and nobody else."""

    def policy(actor: Actor, arguments: Mapping[str, Any]) -> None:
        signed_in(actor, arguments)
        if not actor.is_system and (actor.id is None or actor.id != str(arguments.get(argument))):
            raise NotAllowed("this belongs to somebody else")

    return policy


def roles(*names: str) -> Policy:
    """Accounts that have one of the roles `names`."""

    def policy(actor: Actor, arguments: Mapping[str, Any]) -> None:
        signed_in(actor, arguments)
        if not actor.has_role(*names):
            raise NotAllowed("this needs the role " + " or ".join(names))

    return policy


def any_of(*policies: Policy) -> Policy:
    """Whoever passes one of `policies`; the first refusal is the one that is told."""

    def policy(actor: Actor, arguments: Mapping[str, Any]) -> None:
        refusals = []
        for each in policies:
            try:
                return each(actor, arguments)
            except (NotAllowed, NotSignedIn) as refusal:
                refusals.append(refusal)
        raise refusals[0]

    return policy

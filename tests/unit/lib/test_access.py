"""Policies: every actor against every policy, and what a refused one is told."""

from itertools import product
from uuid import UUID

import pytest

from lib.access import any_of, anyone, owner, roles, signed_in, system
from lib.context import ANONYMOUS, SYSTEM, Actor, NotAllowed, NotSignedIn

ME = "0198c0de-0000-7000-8000-000000000001"
OTHER = "0198c0de-0000-7000-8000-000000000002"
ACTORS = {
    "system": SYSTEM,
    "anonymous": ANONYMOUS,
    "me": Actor("account", id=ME),
    "other": Actor("account", id=OTHER),
    "admin": Actor("account", id=OTHER, roles=frozenset({"admin"})),
    "support": Actor("account", id=OTHER, roles=frozenset({"support", "beta"})),
    "my admin": Actor("account", id=ME, roles=frozenset({"admin"})),
    "nobody": Actor("account", id=None, roles=frozenset({"user"})),
}
# Who passes; the anonymous are told to sign in, everybody else that they may not.
POLICIES = {
    "anyone": (anyone, set(ACTORS)),
    "signed in": (signed_in, set(ACTORS) - {"anonymous"}),
    "system": (system, {"system"}),
    "owner": (owner("user_id"), {"system", "me", "my admin"}),
    "admins": (roles("admin"), {"system", "admin", "my admin"}),
    "staff": (roles("admin", "support"), {"system", "admin", "my admin", "support"}),
    "nobody's role": (roles("emperor"), {"system"}),
    "owner or admin": (any_of(owner("user_id"), roles("admin")), {"system", "me", "my admin", "admin"}),
    "system or support": (any_of(system, roles("support")), {"system", "support"}),
}


@pytest.mark.parametrize(("who", "what"), list(product(ACTORS, POLICIES)))
def test_every_actor_against_every_policy(who, what):
    policy, allowed = POLICIES[what]
    if who in allowed:
        assert policy(ACTORS[who], {"user_id": ME}) is None
        return
    with pytest.raises((NotAllowed, NotSignedIn)) as caught:
        policy(ACTORS[who], {"user_id": ME})
    # Signing in would not help against a policy that no account passes.
    expected = NotSignedIn if who == "anonymous" and not what.startswith("system") else NotAllowed
    assert type(caught.value) is expected


@pytest.mark.parametrize("arguments", [{}, {"user_id": None}, {"user_id": "None"}, {"user_id": [ME]}, {"other": ME}])
@pytest.mark.parametrize("who", ["me", "nobody"])
def test_nobody_owns_what_is_not_named(who, arguments):
    with pytest.raises(NotAllowed):
        owner("user_id")(ACTORS[who], arguments)


def test_an_owner_is_recognised_by_an_id_that_is_not_a_text_yet():
    owner("user_id")(ACTORS["me"], {"user_id": UUID(ME)})


def test_the_first_refusal_is_the_one_that_is_told():
    policy = any_of(roles("admin"), owner("user_id"))
    with pytest.raises(NotAllowed, match="this needs the role admin"):
        policy(ACTORS["other"], {"user_id": ME})


def test_a_policy_that_breaks_is_no_refusal():
    def broken(actor, arguments):
        raise KeyError("user_id")

    with pytest.raises(KeyError):
        any_of(broken, anyone)(SYSTEM, {})


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [(NotSignedIn, "unauthenticated", "unauthenticated"), (NotAllowed, "forbidden", "forbidden")],
)
def test_what_the_gateway_will_make_of_it(error, kind, code):
    assert (error.kind, error.code) == (kind, code)

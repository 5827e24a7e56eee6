"""The RPC methods of connections: who may call them, and that all that they give is JSON."""

import inspect
import json

import pytest

from lib.context import ANONYMOUS, SYSTEM, Actor, NotAllowed, NotSignedIn
from lib.ids import new_id
from lib.rpc import Rpc
from users_svc.presentation.connections import ConnectionRpc
from users_svc.presentation.service import UsersService

WRITES = {
    "follow": "target_id",
    "unfollow": "target_id",
    "block": "target_id",
    "unblock": "target_id",
    "mute": "target_id",
    "unmute": "target_id",
    "accept_follow_request": "requester_id",
    "reject_follow_request": "requester_id",
}
OPEN = {"list_followers", "list_following"}
METHODS = sorted(
    name
    for name, each in vars(ConnectionRpc).items()
    if any(isinstance(entrypoint, Rpc) for entrypoint in getattr(each, "nameko_entrypoints", ()))
)


def entrypoint(name):
    (found,) = getattr(ConnectionRpc, name).nameko_entrypoints
    return found


def account(user_id, *roles):
    return Actor("account", id=str(user_id), roles=frozenset(roles))


@pytest.fixture
def service(ports):
    service = UsersService()
    service.ports, service.caller = ports, SYSTEM
    return service


def test_these_are_all_methods():
    assert {*METHODS} == {
        *WRITES,
        *OPEN,
        "list_blocks",
        "list_follow_requests",
        "get_relationship",
        "get_relationships",
    }


def test_an_account_that_opens_is_heard_of():
    (handler,) = ConnectionRpc.on_user_follow_opened.nameko_entrypoints
    assert (handler.source_service, handler.event_type) == ("users_svc", "user.follow_opened")


@pytest.mark.parametrize("name", METHODS)
def test_nobody_acts_or_looks_for_somebody_else(name):
    allow, me = entrypoint(name).allow, str(new_id())
    for actor in (account(me), SYSTEM):
        allow(actor, {"user_id": me})
    strangers = [ANONYMOUS, account(new_id()), account(new_id(), "admin", "support", "finance"), account(me.upper())]
    for actor in strangers:
        if name in OPEN:
            allow(actor, {"user_id": me})
        else:
            with pytest.raises((NotAllowed, NotSignedIn)):
                allow(actor, {"user_id": me})


@pytest.mark.parametrize("name", METHODS)
def test_every_method_may_run_again_and_explains_itself(name):
    assert entrypoint(name).idempotent is True
    text = inspect.getdoc(getattr(ConnectionRpc, name))
    assert ":raises Fault:" in text or "see `list_followers`" in text


def test_what_is_returned_is_json(service, person):
    ann, bob = str(person(name="Ann", private=True)), str(person(name="Bob"))
    for name, other in WRITES.items():
        if name != "accept_follow_request":
            assert getattr(service, name)(user_id=ann, **{other: bob}) is None
    service.follow(user_id=bob, target_id=ann)
    (waiting,) = json.loads(json.dumps(service.list_follow_requests(user_id=ann)))["data"]
    assert (waiting["id"], waiting["display_name"], waiting["since"][-1]) == (bob, "Bob", "Z")
    assert waiting["relationship"] == json.loads(json.dumps(service.get_relationship(user_id=ann, other_id=bob)))
    assert service.accept_follow_request(user_id=ann, requester_id=bob) is None
    service.caller = account(ann)
    seen = json.loads(json.dumps([service.list_followers(user_id=ann), service.list_following(user_id=bob)]))
    assert [[each["id"] for each in page["data"]] for page in seen] == [[bob], [ann]]
    assert [page["data"][0]["relationship"] is None for page in seen] == [False, True]
    service.block(user_id=ann, target_id=bob)
    assert [each["id"] for each in service.list_blocks(user_id=ann)["data"]] == [bob]
    found = json.loads(json.dumps(service.get_relationships(user_id=ann, ids=[bob, "x"])))
    nothing = dict.fromkeys(("following", "followed_by", "requested", "requested_by", "muting"), False)
    assert found == {"data": [{"id": bob, "blocking": True, **nothing}, {"id": "x", "not_found": True}]}


def test_lists_are_what_the_caller_may_see(service, person):
    ann, bob, cat = (str(person(name=name)) for name in ("Ann", "Bob", "Cat"))
    for follower in (bob, cat):
        service.follow(user_id=follower, target_id=ann)
    service.block(user_id=bob, target_id=cat)
    for caller, expected in ((account(cat), [cat]), (account(bob), [cat, bob]), (ANONYMOUS, [cat, bob])):
        service.caller = caller
        page = service.list_followers(user_id=ann, limit=2)
        assert [each["id"] for each in page["data"]] == expected

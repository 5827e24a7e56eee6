"""The fake cluster is a cluster, and knows the services."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from lib.cluster import Cluster
from lib.context import ANONYMOUS, CallContext
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster, WrongCall
from tests.unit.gateway.conftest import USER_ID

NOBODY = CallContext("request-1", actor=ANONYMOUS)


@pytest.fixture
def fake() -> FakeCluster:
    return FakeCluster()


@pytest.mark.parametrize("name", ["start", "stop", "consumers", "view"])
def test_it_is_called_as_the_real_one(name: str) -> None:
    real, fake = (list(inspect.signature(getattr(each, name)).parameters) for each in (Cluster, FakeCluster))
    assert fake == real


def test_it_answers_as_it_is_told(fake: FakeCluster) -> None:
    fake.answers["users_svc.get_user"] = {"id": USER_ID}
    assert fake.view(NOBODY).users_svc.get_user(user_id=USER_ID) == {"id": USER_ID}
    assert fake.view(NOBODY).users_svc.get_user.call_async(user_id=USER_ID).result() == {"id": USER_ID}
    assert fake.called("users_svc.get_user") == [{"user_id": USER_ID}] * 2


def test_it_refuses_methods_and_arguments_that_there_are_not(fake: FakeCluster) -> None:
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        ("mail_svc", "send", {}),
        ("users_svc", "delete_everything", {}),
        ("users_svc", "name", {}),
        ("users_svc", "on_user_registered", {"event": {}}),
        ("users_svc", "get_user", {}),
        ("users_svc", "get_user", {"id": USER_ID}),
        ("users_svc", "get_user", {"user_id": object()}),
        # It is right, and nobody said what it answers.
        ("users_svc", "get_user", {"user_id": USER_ID}),
    ]
    for service, method, arguments in wrong:
        with pytest.raises(WrongCall):
            getattr(getattr(fake.view(NOBODY), service), method)(**arguments)
    assert len(fake.mistakes) == len(wrong)


def test_it_asks_who_acts_as_the_service_does(fake: FakeCluster) -> None:
    fake.answers["auth_svc.get_account"] = {}
    with pytest.raises(Fault, match="unauthenticated"):
        fake.view(NOBODY).auth_svc.get_account(user_id=USER_ID)
    with pytest.raises(Fault, match="forbidden"):
        fake.view(NOBODY).auth_svc.reserve_account(email="a", name="b", request_key="c")

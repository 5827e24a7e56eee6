"""Bringing back a server that died."""

import pytest

from deploy.local import keeper as module
from deploy.local.console import LocalError
from deploy.local.keeper import Keeper


class FakeServer:
    """A server that has died and comes back at the given attempt."""

    name, title, log = "redis", "Redis", "redis.log"

    def __init__(self, succeeds_at):
        self.succeeds_at = succeeds_at
        self.attempts = 0

    def start(self):
        self.attempts += 1
        if self.attempts < self.succeeds_at:
            raise LocalError("Redis ended while it was starting")


class FakeServers:
    def __init__(self, server):
        self.server = server

    def ended(self):
        return [self.server] if self.server.attempts < self.server.succeeds_at else []


@pytest.fixture
def keep(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.0)

    def run(succeeds_at, checks):
        server = FakeServer(succeeds_at)
        keeper = Keeper(FakeServers(server))
        for _ in range(checks):
            keeper.check()
            keeper.stop()
        return server.attempts

    return run


def test_a_dead_server_is_started_again_once(keep, capsys):
    assert keep(succeeds_at=1, checks=3) == 1

    printed = capsys.readouterr().out
    assert "Redis ended unexpectedly (its log: redis.log)" in printed
    assert "Redis runs again" in printed


def test_it_is_tried_until_it_works(keep, capsys):
    assert keep(succeeds_at=3, checks=5) == 3

    assert capsys.readouterr().out.count("ended while it was starting") == 2


def test_given_servers_are_not_ours_to_start():
    Keeper(None).check()

from datetime import timedelta

import pytest

from auth_svc.domain.session import (
    RefreshInvalid,
    RefreshReused,
    Session,
    SessionExpired,
    SessionRevoked,
)
from lib.ids import new_id
from tests.fakes.auth import POLICY, START, FakeRefreshTokens


class Device:
    """A session and what its client holds."""

    def __init__(self, *keys):
        self.chain = FakeRefreshTokens(*keys)
        self.now = START
        id = new_id()
        self.first = self.chain.issue(id)
        self.session = Session.open(
            id=id,
            account_id=new_id(),
            token_hash=self.chain.fingerprint(self.first),
            amr=("pwd",),
            now=START,
            lifetime=POLICY.lifetime,
        )

    def present(self, token, **later):
        self.now += timedelta(**later)
        return self.session.rotate(token, self.chain, now=self.now, policy=POLICY)

    @property
    def revocations(self):
        return [event for _, event in self.session.pull_events()]


@pytest.fixture
def device():
    return Device()


def test_every_refresh_gives_another_token(device):
    second = device.present(device.first, hours=1)
    third = device.present(second, hours=1)
    assert len({device.first, second, third}) == 3
    assert device.session.generation == 2
    assert device.session.last_used_at == START + timedelta(hours=2)
    assert device.session.authenticated_at == START


def test_no_token_is_kept_in_the_session(device):
    second = device.present(device.first)
    assert device.first not in repr(vars(device.session))
    assert second not in repr(vars(device.session))
    assert repr(device.session.token_hash) not in repr(device.session)


def test_within_the_grace_a_used_token_gives_the_same_successor(device):
    second = device.present(device.first)
    assert device.present(device.first, seconds=9.9) == second
    assert device.present(device.first) == second
    assert device.session.generation == 1
    assert device.revocations == []
    assert device.present(second) not in (device.first, second)


def test_after_the_grace_a_used_token_ends_the_session(device):
    second = device.present(device.first)
    with pytest.raises(RefreshReused):
        device.present(device.first, seconds=10)
    session = device.session
    assert session.revoked_reason == "refresh_reused"
    assert session.revoked_at == device.now
    assert device.revocations == [SessionRevoked(str(session.id), str(session.account_id), "refresh_reused")]
    for token in (device.first, second):
        with pytest.raises(RefreshReused):
            device.present(token)
    assert device.revocations == []


def test_the_grace_ends_when_the_successor_is_used(device):
    second = device.present(device.first)
    third = device.present(second, seconds=1)
    with pytest.raises(RefreshReused):
        device.present(device.first, seconds=1)
    with pytest.raises(RefreshReused):
        device.present(third)


def test_a_token_from_long_ago_ends_the_session(device):
    token = device.first
    for _ in range(5):
        token = device.present(token, hours=1)
    with pytest.raises(RefreshReused):
        device.present(device.first)
    assert device.session.revoked_reason == "refresh_reused"


def test_a_made_up_token_is_refused_and_harms_nobody(device):
    stranger = Device()
    for token in (f"{device.session.id}/guess/seal", stranger.first, "nonsense"):
        with pytest.raises(RefreshInvalid):
            device.present(token)
    assert device.session.revoked_at is None
    assert device.present(device.first)


def test_a_signed_out_session_gives_nothing(device):
    device.session.revoke("logout", START)
    with pytest.raises(RefreshInvalid):
        device.present(device.first)
    session = device.session
    assert device.revocations == [SessionRevoked(str(session.id), str(session.account_id), "logout")]


def test_a_session_ends_once(device):
    device.session.revoke("logout", START)
    device.session.revoke("refresh_reused", START + timedelta(hours=1))
    assert device.session.revoked_reason == "logout"
    assert device.session.revoked_at == START
    assert len(device.revocations) == 1


def test_an_idle_session_expires(device):
    second = device.present(device.first, days=7)
    with pytest.raises(SessionExpired):
        device.present(second, days=7, microseconds=1)
    assert device.revocations == []


def test_use_does_not_carry_a_session_past_its_end(device):
    token = device.first
    for _ in range(29):
        token = device.present(token, days=1)
    token = device.present(token, hours=23, minutes=59, seconds=59)
    with pytest.raises(SessionExpired):
        device.present(token, seconds=1)


def test_a_token_stays_good_when_a_new_key_comes_in_front():
    device = Device("old")
    second = device.present(device.first)
    device.chain.keys = ["new", "old"]
    assert device.present(device.first, seconds=1) == second
    third = device.present(second, hours=1)
    device.chain.keys = ["new"]
    fourth = device.present(third, hours=1)
    with pytest.raises(RefreshReused):
        device.present(third, hours=1)
    assert fourth


def test_a_key_withdrawn_within_the_grace_does_not_end_the_session():
    device = Device("old")
    second = device.present(device.first)
    device.chain.keys = ["new"]
    with pytest.raises(RefreshInvalid):
        device.present(device.first, seconds=1)
    assert device.present(second, seconds=1)


def test_without_a_grace_window_a_token_works_exactly_once(device):
    policy = type(POLICY)(lifetime=POLICY.lifetime, idle=POLICY.idle, grace=timedelta(0))
    device.session.rotate(device.first, device.chain, now=START, policy=policy)
    with pytest.raises(RefreshReused):
        device.session.rotate(device.first, device.chain, now=START, policy=policy)

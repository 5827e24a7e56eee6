import copy
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from auth_svc.application.create_oauth_client import create_oauth_client
from auth_svc.application.introspect_token import introspect_token
from auth_svc.application.refresh_session import refresh_session
from auth_svc.application.revoke_oauth_client import revoke_oauth_client
from auth_svc.domain.account import Account
from auth_svc.domain.email import Email
from auth_svc.domain.oauth_client import InvalidClient
from auth_svc.domain.session import Session
from lib.ids import new_id
from tests.fakes.auth import POLICY, START, AuthWorld, FakeTokens

SECRET = "lcs_" + "s" * 43
DEAD = {"active": False}


class TellingTokens(FakeTokens):
    """Access tokens that say as much as real ones: ``access/<account>/<session>/<moment>``."""

    def claims(self, token):
        parts = token.split("/") if isinstance(token, str) else []
        if len(parts) != 4 or parts[0] != "access":
            return None
        issued = int(START.timestamp())
        return {
            "iss": "https://issuer.example",
            "aud": "leveret",
            "sub": parts[1],
            "sid": parts[2],
            "jti": "j1",
            "iat": issued,
            "auth_time": issued,
            "exp": issued + 900,
            "roles": ["user"],
            "email_verified": True,
            "amr": ["pwd"],
            "future": "a claim that nobody agreed on",
        }


class World(AuthWorld):
    """One account, signed in, and one client."""

    def __post_init__(self):
        super().__post_init__()
        self.ports = replace(self.ports, tokens=TellingTokens(self.store))
        self.client = create_oauth_client(self.ports, name="Billing", secret=SECRET)
        self.account = Account.register(
            id=new_id(), email=Email("ann@example.com"), name="Ann", password_hash="h", now=START
        )
        session_id = new_id()
        self.refresh_token = self.refresh_tokens.issue(session_id)
        self.session = Session.open(
            id=session_id,
            account_id=self.account.id,
            token_hash=self.refresh_tokens.fingerprint(self.refresh_token),
            amr=("pwd",),
            now=START,
            lifetime=POLICY.lifetime,
        )
        self.access_token = f"access/{self.account.id}/{session_id}/{START.isoformat()}"
        with self.ports.unit_of_work() as uow:
            uow.accounts.add(self.account)
            uow.sessions.add(self.session)
            uow.commit()

    def ask(self, token, **changes):
        credentials = {"client_id": self.client.id, "client_secret": SECRET}
        return introspect_token(self.ports, **{**credentials, "token": token, **changes})

    def change(self, **changes):
        with self.ports.unit_of_work() as uow:
            session, account = uow.sessions.find(self.session.id), uow.accounts.get(self.account.id)
            for name, value in changes.items():
                setattr(session if hasattr(session, name) else account, name, value)
            uow.commit()


@pytest.fixture
def world():
    return World()


def test_a_good_access_token_is_shown_with_what_it_says(world):
    issued = int(START.timestamp())
    assert world.ask(world.access_token) == {
        "active": True,
        "token_type": "Bearer",
        "iss": "https://issuer.example",
        "aud": "leveret",
        "sub": str(world.account.id),
        "sid": str(world.session.id),
        "jti": "j1",
        "iat": issued,
        "auth_time": issued,
        "exp": issued + 900,
        "roles": ["user"],
        "email_verified": True,
        "amr": ["pwd"],
    }


def state(session):
    """Return the session's own fields: another test of this process may have taught SQLAlchemy the class."""
    return {name: value for name, value in vars(session).items() if not name.startswith("_")}


def test_the_newest_refresh_token_is_shown_and_stays_unused(world):
    world.clock.advance(days=1)
    before = copy.deepcopy(world.store.sessions)
    for _ in range(3):
        assert world.ask(world.refresh_token) == {
            "active": True,
            "token_type": "refresh_token",
            "sub": str(world.account.id),
            "sid": str(world.session.id),
            "exp": int((START + POLICY.idle).timestamp()),
        }
    assert list(map(state, world.store.sessions.values())) == list(map(state, before.values()))
    assert refresh_session(world.ports, refresh_token=world.refresh_token).refresh_token


def test_a_refresh_token_ends_with_its_session_at_the_latest(world):
    world.change(last_used_at=START + timedelta(days=29))
    world.clock.advance(days=29)
    assert world.ask(world.refresh_token)["exp"] == int((START + POLICY.lifetime).timestamp())


def test_an_old_refresh_token_is_not_good_and_asking_ends_nothing(world):
    """Presented for a refresh, the oldest one would end the session as stolen."""
    second = refresh_session(world.ports, refresh_token=world.refresh_token).refresh_token
    third = refresh_session(world.ports, refresh_token=second).refresh_token
    world.clock.advance(hours=1)
    assert [world.ask(each) for each in (world.refresh_token, second)] == [DEAD, DEAD]
    assert world.ask(third)["active"] is True
    assert world.store.sessions[world.session.id].revoked_at is None
    assert refresh_session(world.ports, refresh_token=third)


def not_there(world):
    world.store.sessions.clear()


def revoked(world):
    world.change(revoked_at=START, revoked_reason="logout")


def idle(world):
    world.change(last_used_at=START - POLICY.idle - timedelta(seconds=1))


def over(world):
    world.change(expires_at=START)


def disabled(world):
    world.change(status="disabled")


def account_gone(world):
    world.store.accounts.clear()


@pytest.mark.parametrize("how", [not_there, revoked, idle, over, disabled, account_gone])
def test_a_token_of_what_has_ended_is_not_good(world, how):
    assert world.ask(world.access_token)["active"] is world.ask(world.refresh_token)["active"] is True
    how(world)
    assert world.ask(world.access_token) == DEAD
    assert world.ask(world.refresh_token) == DEAD


def test_an_access_token_is_good_until_it_expires_to_the_second(world):
    world.clock.advance(seconds=899)
    assert world.ask(world.access_token)["active"] is True
    world.clock.advance(seconds=1)
    assert world.ask(world.access_token) == DEAD


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "x" * 100_000,
        "access/a/b",
        "a.b.c",
        f"{uuid4()}/guessed/seal",
        "\0",
        "\ud800",
        None,
        7,
        {"token": 1},
        [],
    ],
)
def test_anything_else_is_not_good(world, token):
    assert world.ask(token) == DEAD


def test_the_id_of_a_session_with_a_made_up_secret_is_not_good(world):
    assert world.ask(f"{world.session.id}/made-up/seal") == DEAD


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "something else", "", None, 7])
def test_the_hint_changes_nothing(world, hint):
    assert world.ask(world.access_token, token_type_hint=hint)["token_type"] == "Bearer"
    assert world.ask(world.refresh_token, token_type_hint=hint)["token_type"] == "refresh_token"


@pytest.mark.parametrize("credentials", [{"client_secret": "lcs_wrong"}, {"client_id": "lcl_" + "0" * 32}])
def test_nobody_else_is_told_anything(world, credentials):
    for token in (world.access_token, world.refresh_token, "unknown"):
        with pytest.raises(InvalidClient):
            world.ask(token, **credentials)


def test_a_revoked_client_is_told_nothing(world):
    assert world.ask(world.access_token)["active"] is True
    revoke_oauth_client(world.ports, client_id=world.client.id)
    with pytest.raises(InvalidClient):
        world.ask(world.access_token)

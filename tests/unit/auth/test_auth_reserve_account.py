import pytest

from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.domain.account import (
    AccountRegistered,
    InvalidName,
    InvalidRequestKey,
    RequestKeyReused,
    RequestKeyTaken,
)
from auth_svc.domain.email import EmailTaken, InvalidEmail
from auth_svc.domain.mail import MailRequested
from tests.fakes.auth import AuthWorld

ANN = {"email": "Ann@example.com", "name": "Ann", "request_key": "key-1"}


@pytest.fixture
def world():
    return AuthWorld()


def test_a_reservation_makes_an_invited_account_that_is_announced(world):
    account, created = reserve_account(world.ports, **ANN)
    assert created
    stored = world.only_account()
    assert stored.id == account.id
    assert (stored.status, stored.password_hash, stored.request_key) == ("invited", None, "key-1")
    assert world.store.sessions == {}
    assert world.events == [
        AccountRegistered(str(account.id), "Ann@example.com", "Ann", "invited", False),
        MailRequested(str(account.id), "claim"),
    ]


@pytest.mark.parametrize("email", ["Ann@example.com", "ANN@EXAMPLE.COM"])
def test_the_same_key_gives_the_same_account(world, email):
    first, _ = reserve_account(world.ports, **ANN)
    again, created = reserve_account(world.ports, **{**ANN, "email": email})
    assert again.id == first.id
    assert not created
    assert len(world.events) == 2


def test_the_same_key_for_another_address_is_a_conflict(world):
    reserve_account(world.ports, **ANN)
    with pytest.raises(RequestKeyReused) as refusal:
        reserve_account(world.ports, **{**ANN, "email": "bob@example.com"})
    assert (refusal.value.kind, refusal.value.code) == ("conflict", "request_key_reused")
    assert len(world.store.accounts) == 1


def test_an_address_that_somebody_has_is_a_conflict(world):
    reserve_account(world.ports, **ANN)
    with pytest.raises(EmailTaken):
        reserve_account(world.ports, **{**ANN, "request_key": "key-2"})
    register_account(world.ports, email="bob@example.com", password="SecurePass123!", name="Bob")
    with pytest.raises(EmailTaken):
        reserve_account(world.ports, **{**ANN, "email": "bob@example.com", "request_key": "key-3"})
    assert len(world.store.accounts) == 2


def test_a_race_against_the_same_request_ends_in_its_account(world):
    winners = []
    world.store.meanwhile.append(lambda: winners.append(reserve_account(world.ports, **ANN)))
    account, created = reserve_account(world.ports, **ANN)
    assert not created
    assert account.id == winners[0].account.id == world.only_account().id


def test_a_race_against_another_request_for_the_address_is_a_conflict(world):
    world.store.meanwhile.append(lambda: reserve_account(world.ports, **{**ANN, "request_key": "key-2"}))
    with pytest.raises(EmailTaken):
        reserve_account(world.ports, **ANN)


def test_a_race_against_the_same_key_for_another_address_is_a_conflict(world):
    world.store.meanwhile.append(lambda: reserve_account(world.ports, **{**ANN, "email": "bob@example.com"}))
    with pytest.raises(RequestKeyReused):
        reserve_account(world.ports, **ANN)


def test_a_winner_that_cannot_be_read_yet_is_a_conflict_to_try_again_after(world):
    def hold_the_key():
        world.store.meanwhile.append(hold_the_key)
        raise RequestKeyTaken

    world.store.meanwhile.append(hold_the_key)
    with pytest.raises(RequestKeyTaken) as refusal:
        reserve_account(world.ports, **ANN)
    assert refusal.value.details == {"retry_after": 1}


@pytest.mark.parametrize(
    "change, error",
    [({"email": "ann"}, InvalidEmail), ({"name": ""}, InvalidName), ({"request_key": ""}, InvalidRequestKey)],
)
def test_what_breaks_a_rule_reserves_nothing(world, change, error):
    with pytest.raises(error):
        reserve_account(world.ports, **{**ANN, **change})
    assert world.store.accounts == {}

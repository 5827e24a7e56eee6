from dataclasses import replace

import pytest

from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.application.sign_in import sign_in
from auth_svc.application.verify_email import verify_email
from auth_svc.domain.account import InvalidCredentials, InvalidName
from auth_svc.domain.account_events import AccountRegistered
from auth_svc.domain.email import EmailTaken, InvalidEmail
from auth_svc.domain.mail import MailRequested
from auth_svc.domain.password import WeakPassword
from tests.fakes.auth import POLICY, RULES, START, AuthWorld, CannotSignError
from tests.fakes.auth_postman import deliver

ANN = {"email": "Ann@Example.com", "password": "SecurePass123!", "name": " Ann Example "}


@pytest.fixture
def world():
    return AuthWorld()


def test_a_registration_makes_one_account_and_one_session(world):
    signed_in = register_account(world.ports, **ANN)
    account, session = world.only_account(), world.only_session()
    assert (account.email.typed, account.name, account.status) == ("Ann@Example.com", "Ann Example", "active")
    assert account.password_hash == "new:SecurePass123!"
    assert account.created_at == START
    assert session.account_id == account.id
    assert session.amr == ("pwd",)
    assert session.expires_at == START + POLICY.lifetime
    assert signed_in.account.id == account.id
    assert signed_in.access_token.value == f"access/{account.id}/{session.id}/{START.isoformat()}"
    assert world.refresh_tokens.session_of(signed_in.refresh_token) == session.id
    assert session.token_hash == world.refresh_tokens.fingerprint(signed_in.refresh_token)


def test_a_registration_is_announced_once(world):
    register_account(world.ports, **ANN)
    id = str(world.only_account().id)
    assert world.events == [
        AccountRegistered(id, "Ann@Example.com", "Ann Example", "active", False),
        MailRequested(id, "verification"),
    ]


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@EXAMPLE.COM"])
def test_an_address_is_taken_in_every_spelling(world, email):
    register_account(world.ports, **ANN)
    with pytest.raises(EmailTaken) as refusal:
        register_account(world.ports, **{**ANN, "email": email})
    assert (refusal.value.kind, refusal.value.code) == ("conflict", "email_taken")
    assert len(world.store.accounts) == len(world.store.sessions) == 1
    # Nobody is told either: an honest answer at registration says as much.
    assert len(world.events) == 2


def test_an_invited_address_is_taken_too(world):
    reserve_account(world.ports, email="ann@example.com", name="Ann", request_key="key")
    with pytest.raises(EmailTaken):
        register_account(world.ports, **ANN)
    assert world.only_account().status == "invited"
    assert world.store.sessions == {}
    # Whoever owns the address gets another chance to claim it.
    assert world.events[-1] == MailRequested(str(world.only_account().id), "claim")


def private(**store):
    return AuthWorld(rules=replace(RULES, private_registration=True), **store)


def test_private_registration_tells_only_the_mailbox():
    world = private()
    assert register_account(world.ports, **ANN) is None
    account = world.only_account()
    assert world.store.sessions == {}
    assert world.events[-1] == MailRequested(str(account.id), "verification")
    assert register_account(world.ports, **ANN) is None
    assert len(world.store.accounts) == 1
    assert world.events[-1] == MailRequested(str(account.id), "account_exists")


def test_private_registration_mails_nobody_whose_account_is_closed():
    world = private()
    register_account(world.ports, **ANN)
    world.only_account().disable("spam", START)
    world.events.clear()
    assert register_account(world.ports, **ANN) is None
    # Written down all the same, for that takes as long; whoever sends mails finds that there is none to send.
    assert [each.kind for each in world.events] == ["account_exists"]
    deliver(world)
    assert world.mailer.sent == []


def test_private_registration_lets_nobody_in_by_password_before_the_mailbox_is_proved():
    """Or whoever registers an address sees by signing in whether it was free."""
    world = private()
    register_account(world.ports, **ANN)
    for password in (ANN["password"], "WrongPass123!"):
        with pytest.raises(InvalidCredentials):
            sign_in(world.ports, email=ANN["email"], password=password)
    deliver(world)
    verify_email(world.ports, token=world.mailer.last("verification").token)
    assert sign_in(world.ports, email=ANN["email"], password=ANN["password"])


def test_private_invitations_tell_only_the_mailbox():
    world = private()
    invite = {"email": ANN["email"], "name": "Ann", "request_key": "key"}
    assert reserve_account(world.ports, **invite) is None
    assert reserve_account(world.ports, **invite) is None
    assert reserve_account(world.ports, **{**invite, "request_key": "another"}) is None
    assert world.only_account().status == "invited"
    assert [each.kind for each in world.events if isinstance(each, MailRequested)] == ["claim", "claim"]


def test_a_leaked_password_is_refused(world):
    world.breached.leaked.add(ANN["password"])
    with pytest.raises(WeakPassword) as refusal:
        register_account(world.ports, **ANN)
    assert [each["code"] for each in refusal.value.details["errors"]] == ["breached"]
    assert world.store.accounts == {}


def test_a_registration_is_audited_and_knows_its_device(world):
    signed_in = register_account(world.ports, **ANN)
    (entry,) = world.store.audit
    assert (entry.kind, entry.account_id, entry.session_id) == (
        "account.registered",
        signed_in.account.id,
        world.only_session().id,
    )
    assert (world.only_session().ip, world.only_session().user_agent) == ("192.0.2.7", "Firefox")
    assert world.device_tokens.open(signed_in.device_token).is_known_to(world.only_account())


def test_the_loser_of_a_race_is_told_that_the_address_is_taken(world):
    world.store.meanwhile.append(lambda: register_account(world.ports, **ANN))
    with pytest.raises(EmailTaken):
        register_account(world.ports, **ANN)
    assert len(world.store.accounts) == len(world.store.sessions) == 1


@pytest.mark.parametrize(
    "change, error",
    [
        ({"email": "ann"}, InvalidEmail),
        ({"name": "\x00"}, InvalidName),
        ({"password": "password123"}, WeakPassword),
        ({"password": "annexample1"}, WeakPassword),
        ({"password": "Zebulon1985", "name": "Zebulon"}, WeakPassword),
        ({"password": "Zebulon1985", "email": "zebulon@example.com"}, WeakPassword),
    ],
)
def test_what_breaks_a_rule_leaves_nothing(world, change, error):
    with pytest.raises(error):
        register_account(world.ports, **{**ANN, **change})
    assert world.store.accounts == world.store.sessions == {}
    assert world.events == []


def test_nobody_is_registered_while_tokens_cannot_be_signed(world):
    world.tokens.broken = True
    with pytest.raises(CannotSignError):
        register_account(world.ports, **ANN)
    assert world.store.accounts == {}

"""Forgotten, reset, changed: what each proves, and what ends with it."""

from dataclasses import replace

import pytest

from auth_svc.application.change_password import change_password
from auth_svc.application.forgot_password import forgot_password
from auth_svc.application.register_account import register_account
from auth_svc.application.reset_password import reset_password
from auth_svc.application.send_mail import send_mail
from auth_svc.application.sign_in import sign_in
from auth_svc.domain.account import AccountNotFound, InvalidCredentials
from auth_svc.domain.account_events import EmailVerified, PasswordChanged
from auth_svc.domain.one_time_token import InvalidToken
from auth_svc.domain.password import PasswordUnchanged, WeakPassword, WrongPassword
from lib.ids import new_id
from tests.fakes.auth import RULES, AuthWorld
from tests.fakes.auth_postman import deliver

ANN = {"email": "ann@example.com", "password": "SecurePass123!"}
NEW = "AnotherPass456!"


@pytest.fixture
def world():
    world = AuthWorld(rules=replace(RULES, mails_per_hour=None))
    world.ann = register_account(world.ports, **ANN, name="Ann")
    deliver(world)
    return world


def reset_token(world, email=ANN["email"]):
    forgot_password(world.ports, email=email)
    deliver(world)
    return world.mailer.last("password_reset").token


def live(world):
    return {each.id for each in world.store.sessions.values() if each.revoked_at is None}


def test_a_reset_sets_the_password_and_ends_all_sessions(world):
    sign_in(world.ports, **ANN)
    token = reset_token(world)
    reset_password(world.ports, token=token, new_password=NEW)
    assert live(world) == set()
    with pytest.raises(InvalidCredentials):
        sign_in(world.ports, **ANN)
    assert sign_in(world.ports, email=ANN["email"], password=NEW)


def test_a_reset_is_told_of_and_is_the_first_proof_of_the_mailbox(world):
    token = reset_token(world)
    world.events.clear()
    reset_password(world.ports, token=token, new_password=NEW)
    id = str(world.ann.account.id)
    assert PasswordChanged(id, "reset") in world.events
    assert EmailVerified(id, ANN["email"]) in world.events
    assert world.only_account().email_verified
    deliver(world)
    assert world.mailer.last("password_changed").to == ANN["email"]
    assert world.store.audit[-1].kind == "password.reset"


def test_a_reset_token_works_once(world):
    token = reset_token(world)
    reset_password(world.ports, token=token, new_password=NEW)
    with pytest.raises(InvalidToken):
        reset_password(world.ports, token=token, new_password="ThirdPass789!")


def test_a_mail_that_comes_again_does_not_revive_its_token(world):
    forgot_password(world.ports, email=ANN["email"])
    wanted = world.events[-1]
    event_id = str(new_id())
    for _ in range(2):
        send_mail(world.ports, event_id=event_id, account_id=wanted.account_id, kind="password_reset")
        world.store.seen.clear()
        token = world.mailer.last("password_reset").token
        if len(world.mailer.sent) == 2:
            reset_password(world.ports, token=token, new_password=NEW)
    with pytest.raises(InvalidToken):
        reset_password(world.ports, token=token, new_password="ThirdPass789!")


def test_of_two_resets_at_the_same_moment_one_wins(world):
    token = reset_token(world)
    world.store.meanwhile.append(lambda: reset_password(world.ports, token=token, new_password=NEW))
    with pytest.raises(InvalidToken):
        # The rival's commit is this one's: what it read before is not what there is.
        reset_password(RacingPorts.of(world), token=token, new_password="ThirdPass789!")
    assert sign_in(world.ports, email=ANN["email"], password=NEW)


class RacingPorts:
    """Ports whose hasher lets the rival go first."""

    @staticmethod
    def of(world):
        class Hasher(type(world.hasher)):
            def hash(self, password):
                while world.store.meanwhile:
                    world.store.meanwhile.pop()()
                return super().hash(password)

        return replace(world.ports, hasher=Hasher(world.store))


@pytest.mark.parametrize("token", ["", "lot_made-up", "password_reset:x", None, 7])
def test_a_made_up_token_is_refused(world, token):
    with pytest.raises(InvalidToken) as refusal:
        reset_password(world.ports, token=token, new_password=NEW)
    assert (refusal.value.kind, refusal.value.code) == ("invalid", "invalid_or_expired_token")


def test_a_token_for_something_else_is_refused(world):
    verification = world.mailer.last("verification").token
    with pytest.raises(InvalidToken):
        reset_password(world.ports, token=verification, new_password=NEW)


def test_an_old_token_is_refused(world):
    token = reset_token(world)
    world.clock.advance(hours=1)
    with pytest.raises(InvalidToken):
        reset_password(world.ports, token=token, new_password=NEW)


def test_a_newer_token_takes_the_place_of_an_older_one(world):
    older = reset_token(world)
    newer = reset_token(world)
    with pytest.raises(InvalidToken):
        reset_password(world.ports, token=older, new_password=NEW)
    reset_password(world.ports, token=newer, new_password=NEW)


def test_a_weak_password_does_not_use_the_token_up(world):
    token = reset_token(world)
    with pytest.raises(WeakPassword):
        reset_password(world.ports, token=token, new_password="password123")
    reset_password(world.ports, token=token, new_password=NEW)


def test_a_closed_account_is_not_reset(world):
    token = reset_token(world)
    account = world.only_account()
    account.disable("spam", world.clock())
    with pytest.raises(InvalidToken):
        reset_password(world.ports, token=token, new_password=NEW)


def test_a_deleted_account_is_not_reset(world):
    token = reset_token(world)
    world.store.accounts.clear()
    with pytest.raises(InvalidToken):
        reset_password(world.ports, token=token, new_password=NEW)


def test_a_reset_unlocks(world):
    for _ in range(RULES.lockout.attempts):
        with pytest.raises(InvalidCredentials):
            sign_in(world.ports, email=ANN["email"], password="wrong-password")
    reset_password(world.ports, token=reset_token(world), new_password=NEW)
    assert sign_in(world.ports, email=ANN["email"], password=NEW)


def test_forgetting_writes_the_same_for_every_address(world):
    world.events.clear()
    for email in (ANN["email"], "nobody@example.com"):
        forgot_password(world.ports, email=email)
    known, unknown = world.events
    assert (known.kind, known.account_id) == ("password_reset", str(world.ann.account.id))
    assert (unknown.kind, unknown.reference) == (known.kind, known.reference)
    assert unknown.account_id not in {str(each) for each in world.store.accounts}
    before = len(world.mailer.sent)
    deliver(world)
    assert [mail.to for mail in world.mailer.sent[before:]] == [ANN["email"]]


def test_what_is_no_address_is_nobodys(world):
    world.events.clear()
    forgot_password(world.ports, email="no address")
    assert world.events == []


def change(world, **changes):
    arguments = {
        "user_id": str(world.ann.account.id),
        "session_id": str(world.refresh_tokens.session_of(world.ann.refresh_token)),
        "current_password": ANN["password"],
        "new_password": NEW,
    }
    change_password(world.ports, **{**arguments, **changes})


def test_a_change_ends_the_other_sessions(world):
    other = sign_in(world.ports, **ANN)
    change(world)
    assert live(world) == {world.refresh_tokens.session_of(world.ann.refresh_token)}
    assert world.refresh_tokens.session_of(other.refresh_token) not in live(world)
    deliver(world)
    assert world.mailer.last("password_changed")
    assert PasswordChanged(str(world.ann.account.id), "change") in world.events
    assert world.store.audit[-1].kind == "password.changed"


def test_a_change_makes_reset_links_invalid(world):
    token = reset_token(world)
    change(world)
    with pytest.raises(InvalidToken):
        reset_password(world.ports, token=token, new_password="ThirdPass789!")


def test_a_change_needs_the_current_password(world):
    with pytest.raises(WrongPassword) as refusal:
        change(world, current_password="wrong-password")
    assert (refusal.value.kind, refusal.value.code) == ("forbidden", "wrong_password")
    assert (world.store.audit[-1].kind, world.store.audit[-1].outcome) == ("password.changed", "failure")
    with pytest.raises(WrongPassword):
        change(world, current_password="")


def test_the_same_password_again_is_refused(world):
    with pytest.raises(PasswordUnchanged):
        change(world, new_password=ANN["password"])


def test_a_weak_new_password_is_refused(world):
    with pytest.raises(WeakPassword):
        change(world, new_password="short")


def test_a_change_that_came_second_is_refused(world):
    rival = replace(world.ports, hasher=Rival(world, lambda: change(world, new_password="ThirdPass789!")))
    world.clock.advance(seconds=1)
    with pytest.raises(WrongPassword):
        change_password(
            rival,
            user_id=str(world.ann.account.id),
            session_id=None,
            current_password=ANN["password"],
            new_password=NEW,
        )
    assert sign_in(world.ports, email=ANN["email"], password="ThirdPass789!")


class Rival:
    """A hasher that lets somebody else act while it works."""

    def __init__(self, world, act):
        self._hasher, self._act = world.hasher, act

    def verify(self, password_hash, password):
        return self._hasher.verify(password_hash, password)

    def hash(self, password):
        self._act()
        return self._hasher.hash(password)


@pytest.mark.parametrize("user_id", ["x", str(new_id())])
def test_an_unknown_account_is_not_found(world, user_id):
    with pytest.raises(AccountNotFound):
        change(world, user_id=user_id)
    with pytest.raises(AccountNotFound):
        change(world, session_id="x")

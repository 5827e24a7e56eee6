"""What goes through mailboxes: verification, claims, and moving to another address and back."""

from dataclasses import replace

import pytest

from auth_svc.application.change_email import (
    EmailUnchanged,
    change_email,
    confirm_email_change,
    revert_email_change,
)
from auth_svc.application.claim_account import claim_account
from auth_svc.application.forgot_password import forgot_password
from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.application.reset_password import reset_password
from auth_svc.application.send_mail import send_mail
from auth_svc.application.sign_in import sign_in
from auth_svc.application.verify_email import request_email_verification, verify_email, verify_email_by_code
from auth_svc.domain.account import AccountNotFound, InvalidCredentials, NotClaimable
from auth_svc.domain.account_events import Claimed, Deleted, EmailChanged, EmailVerified
from auth_svc.domain.email import EmailTaken, InvalidEmail
from auth_svc.domain.mail import MailRequested
from auth_svc.domain.one_time_token import MAX_TRIES, InvalidCode, InvalidToken
from auth_svc.domain.password import WeakPassword, WrongPassword
from lib.ids import new_id
from tests.fakes.auth import RULES, AuthWorld
from tests.fakes.auth_postman import deliver
from tests.fakes.auth_store import FakeOneTimeTokens, FakeUnitOfWork

ANN = {"email": "ann@example.com", "password": "SecurePass123!"}
NEW = "anna@example.org"


@pytest.fixture
def world():
    return AuthWorld(rules=replace(RULES, mails_per_hour=None))


@pytest.fixture
def ann(world):
    """Her id, as text."""
    account = register_account(world.ports, **ANN, name="Ann").account
    deliver(world)
    return str(account.id)


@pytest.fixture
def proved(world, ann):
    """Her id, and her address is verified."""
    verify_email(world.ports, token=world.mailer.last("verification").token)
    return ann


# --- verification ---


def test_the_link_verifies_once_and_says_so_again(world, ann):
    token = world.mailer.last("verification").token
    assert verify_email(world.ports, token=token) == "verified"
    assert verify_email(world.ports, token=token) == "already_verified"
    assert world.events == [*world.events[:-1], EmailVerified(ann, ANN["email"])]
    assert [each.kind for each in world.store.audit].count("email.verified") == 1


def test_the_code_verifies_too(world, ann):
    code = world.mailer.last("verification").code
    assert verify_email_by_code(world.ports, user_id=ann, code=code) == "verified"
    assert verify_email_by_code(world.ports, user_id=ann, code=code) == "already_verified"
    # Nobody else's.
    bob = register_account(world.ports, email="bob@example.com", password="SecurePass123!", name="Bob")
    with pytest.raises(InvalidCode):
        verify_email_by_code(world.ports, user_id=str(bob.account.id), code=code)


def test_after_some_wrong_codes_the_right_one_is_refused(world, ann):
    code = world.mailer.last("verification").code
    wrong = f"{(int(code) + 1) % 10**6:06}"
    for _ in range(MAX_TRIES):
        with pytest.raises(InvalidCode):
            verify_email_by_code(world.ports, user_id=ann, code=wrong)
    with pytest.raises(InvalidCode):
        verify_email_by_code(world.ports, user_id=ann, code=code)
    # The link in the same mail proves more, and still works.
    assert verify_email(world.ports, token=world.mailer.last("verification").token) == "verified"


@pytest.mark.parametrize("code", ["", "000000", None, 7, "x" * 300])
def test_a_code_without_a_mail_is_refused(world, code):
    account = register_account(world.ports, **ANN, name="Ann").account
    with pytest.raises(InvalidCode):
        verify_email_by_code(world.ports, user_id=str(account.id), code=code)


def test_links_and_codes_get_old(world, ann):
    mail = world.mailer.last("verification")
    world.clock.advance(hours=24)
    with pytest.raises(InvalidToken):
        verify_email(world.ports, token=mail.token)
    with pytest.raises(InvalidCode):
        verify_email_by_code(world.ports, user_id=ann, code=mail.code)


def test_a_new_mail_replaces_the_old_one(world, ann):
    first = world.mailer.last("verification")
    request_email_verification(world.ports, user_id=ann)
    deliver(world)
    with pytest.raises(InvalidToken):
        verify_email(world.ports, token=first.token)
    assert verify_email(world.ports, token=world.mailer.last("verification").token) == "verified"
    request_email_verification(world.ports, user_id=ann)
    deliver(world)
    assert len(world.mailer.sent) == 2


def test_a_closed_account_is_not_verified(world, ann):
    mail = world.mailer.last("verification")
    world.only_account().disable("spam", world.clock())
    with pytest.raises(InvalidToken):
        verify_email(world.ports, token=mail.token)
    with pytest.raises(InvalidCode):
        verify_email_by_code(world.ports, user_id=ann, code=mail.code)
    request_email_verification(world.ports, user_id=ann)
    assert len(world.mailer.sent) == 1


@pytest.mark.parametrize("user_id", ["x", str(new_id())])
def test_nobody_is_not_verified(world, user_id):
    with pytest.raises(AccountNotFound):
        request_email_verification(world.ports, user_id=user_id)
    with pytest.raises(AccountNotFound):
        verify_email_by_code(world.ports, user_id=user_id, code="123456")


# --- claims ---


@pytest.fixture
def claim(world):
    """The token in an invited owner's mail."""
    reserve_account(world.ports, email=ANN["email"], name="Ann", request_key="key")
    deliver(world)
    return world.mailer.last("claim").token


def test_a_claim_makes_the_account_its_owners(world, claim):
    world.events.clear()
    signed_in = claim_account(world.ports, token=claim, password=ANN["password"])
    account = world.only_account()
    assert (account.status, account.email_verified, account.activated_at) == ("active", True, world.clock())
    assert world.events == [Claimed(str(account.id), ANN["email"], "Ann")]
    assert world.only_session().id == world.refresh_tokens.session_of(signed_in.refresh_token)
    assert world.store.audit[-1].kind == "account.claimed"
    assert sign_in(world.ports, **ANN, device_token=signed_in.device_token)


def test_a_claim_token_works_once(world, claim):
    claim_account(world.ports, token=claim, password=ANN["password"])
    with pytest.raises(InvalidToken):
        claim_account(world.ports, token=claim, password="AnotherPass456!")
    assert sign_in(world.ports, **ANN)


def test_a_weak_password_leaves_the_claim_open(world, claim):
    with pytest.raises(WeakPassword):
        claim_account(world.ports, token=claim, password="password123")
    assert claim_account(world.ports, token=claim, password=ANN["password"])


def test_an_invitation_gets_old(world, claim):
    world.clock.advance(days=30)
    with pytest.raises(InvalidToken):
        claim_account(world.ports, token=claim, password=ANN["password"])


def test_who_registers_at_an_invited_address_gets_a_new_claim_mail_and_the_account_only_by_it(world, claim):
    with pytest.raises(EmailTaken):
        register_account(world.ports, **ANN, name="Mallory")
    deliver(world)
    with pytest.raises(InvalidToken):
        claim_account(world.ports, token=claim, password=ANN["password"])
    assert claim_account(world.ports, token=world.mailer.last("claim").token, password=ANN["password"])
    assert world.only_account().name == "Ann"


def test_who_forgot_the_password_of_an_invitation_is_to_claim_it(world, claim):
    forgot_password(world.ports, email=ANN["email"])
    deliver(world)
    assert claim_account(world.ports, token=world.mailer.last("claim").token, password=ANN["password"])


def test_a_withdrawn_invitation_is_not_claimed(world, claim):
    world.only_account().disable("spam", world.clock())
    with pytest.raises(NotClaimable):
        claim_account(world.ports, token=claim, password=ANN["password"])


# --- change of address ---


def ask(world, ann, new_email=NEW, current_password=ANN["password"]):
    change_email(world.ports, user_id=ann, new_email=new_email, current_password=current_password)
    deliver(world)


def test_the_address_changes_only_when_the_new_mailbox_confirms(world, proved):
    ann = proved
    ask(world, ann)
    assert world.only_account().email.typed == ANN["email"]
    assert (world.mailer.last("email_change").to, world.mailer.last("email_change_notice").to) == (NEW, ANN["email"])
    account = confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    assert (account.email.typed, account.email_verified) == (NEW, True)
    assert EmailChanged(ann, NEW) in world.events
    assert sign_in(world.ports, email=NEW, password=ANN["password"])
    with pytest.raises(InvalidCredentials):
        sign_in(world.ports, **ANN)
    assert [each.kind for each in world.store.audit if each.kind.startswith("email.")] == [
        "email.verified",
        "email.change_requested",
        "email.changed",
    ]


def test_a_link_for_a_change_that_was_confirmed_is_not_sent_again(world, proved):
    ann = proved
    ask(world, ann)
    confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    before = len(world.mailer.sent)
    change = next(iter(world.store.email_changes))
    send_mail(world.ports, event_id=str(new_id()), account_id=ann, kind="email_change", reference=str(change))
    assert len(world.mailer.sent) == before


def test_a_confirmation_works_once(world, proved):
    ann = proved
    ask(world, ann)
    token = world.mailer.last("email_change").token
    confirm_email_change(world.ports, token=token)
    with pytest.raises(InvalidToken):
        confirm_email_change(world.ports, token=token)


def test_a_change_needs_the_password_and_a_new_address(world, proved):
    ann = proved
    with pytest.raises(WrongPassword):
        ask(world, ann, current_password="wrong-password")
    with pytest.raises(InvalidEmail):
        ask(world, ann, new_email="no address")
    with pytest.raises(EmailUnchanged):
        ask(world, ann, new_email=ANN["email"])
    with pytest.raises(AccountNotFound):
        ask(world, "x")
    assert world.store.email_changes == {}


def test_the_same_address_in_another_spelling_is_a_change(world, proved):
    ann = proved
    ask(world, ann, new_email="Ann@Example.com")
    confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    assert world.only_account().email.typed == "Ann@Example.com"
    revert_email_change(world.ports, token=world.mailer.last("email_change_notice").token)
    assert world.only_account().email.typed == ANN["email"]


def test_a_taken_address_shows_only_to_its_owner(world, proved):
    ann = proved
    register_account(world.ports, email=NEW, password="SecurePass123!", name="Bob")
    ask(world, ann)
    assert world.mailer.last("account_exists").to == NEW
    assert not [mail for mail in world.mailer.sent if mail.kind == "email_change"]


def test_an_address_taken_meanwhile_goes_to_who_was_first(world, proved):
    ann = proved
    ask(world, ann)
    register_account(world.ports, email=NEW, password="SecurePass123!", name="Bob")
    with pytest.raises(EmailTaken):
        confirm_email_change(world.ports, token=world.mailer.last("email_change").token)


def test_a_newer_change_takes_the_place_of_one_that_waits(world, proved):
    ann = proved
    ask(world, ann)
    first = world.mailer.last("email_change").token
    ask(world, ann, new_email="third@example.net")
    with pytest.raises(InvalidToken):
        confirm_email_change(world.ports, token=first)
    confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    assert world.only_account().email.typed == "third@example.net"


def test_a_change_ends_links_in_the_old_mailbox_but_the_way_back(world, proved):
    ann = proved
    forgot_password(world.ports, email=ANN["email"])
    ask(world, ann)
    reset = world.mailer.last("password_reset").token
    confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    with pytest.raises(InvalidToken):
        reset_password(world.ports, token=reset, new_password="AnotherPass456!")
    assert revert_email_change(world.ports, token=world.mailer.last("email_change_notice").token)


def test_the_way_back_puts_whoever_took_the_account_over_out(world, proved):
    ann = proved
    ask(world, ann)
    confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    back = world.mailer.last("email_change_notice").token
    # The thief moves on, and has a way back of their own.
    ask(world, ann, new_email="thief@example.net")
    confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    thiefs = world.mailer.last("email_change_notice").token
    world.clock.advance(days=6)
    # A password that the thief sets in the meantime changes nothing about that.
    forgot_password(world.ports, email="thief@example.net")
    deliver(world)
    reset_password(world.ports, token=world.mailer.last("password_reset").token, new_password="ThiefsPass789!")
    revert_email_change(world.ports, token=back)
    account = world.only_account()
    assert (account.email.typed, account.password_hash) == (ANN["email"], None)
    assert all(each.revoked_at for each in world.store.sessions.values())
    for token in (thiefs, back):
        with pytest.raises(InvalidToken):
            revert_email_change(world.ports, token=token)
    deliver(world)
    reset_password(world.ports, token=world.mailer.last("password_reset").token, new_password="AnotherPass456!")
    assert sign_in(world.ports, email=ANN["email"], password="AnotherPass456!")
    assert "email.reverted" in [each.kind for each in world.store.audit]


def test_the_way_back_withdraws_what_was_not_confirmed(world, proved):
    ann = proved
    ask(world, ann)
    revert_email_change(world.ports, token=world.mailer.last("email_change_notice").token)
    with pytest.raises(InvalidToken):
        confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    assert world.only_account().email.typed == ANN["email"]


def test_an_earlier_way_back_outlives_a_later_one(world, proved):
    ann = proved
    ask(world, ann)
    confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    first = world.mailer.last("email_change_notice").token
    world.clock.advance(hours=1)
    ask(world, ann, new_email="third@example.net")
    revert_email_change(world.ports, token=world.mailer.last("email_change_notice").token)
    assert world.only_account().email.typed == NEW
    revert_email_change(world.ports, token=first)
    assert world.only_account().email.typed == ANN["email"]


def test_the_way_back_is_shut_after_a_week_for_a_closed_account_and_when_somebody_has_the_address(world, proved):
    ann = proved
    ask(world, ann)
    confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    back = world.mailer.last("email_change_notice").token
    register_account(world.ports, **ANN, name="Other Ann")
    deliver(world)
    verify_email(world.ports, token=world.mailer.last("verification").token)
    with pytest.raises(EmailTaken):
        revert_email_change(world.ports, token=back)
    account = next(each for each in world.store.accounts.values() if str(each.id) == ann)
    account.disable("spam", world.clock())
    with pytest.raises(InvalidToken):
        revert_email_change(world.ports, token=back)
    account.enable("fine")
    world.clock.advance(days=7)
    with pytest.raises(InvalidToken):
        revert_email_change(world.ports, token=back)


@pytest.mark.parametrize("squat", ["registered", "invited"])
def test_nobody_keeps_the_way_back_shut_by_taking_the_address_without_its_mailbox(world, proved, squat):
    ask(world, proved)
    confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    back = world.mailer.last("email_change_notice").token
    if squat == "registered":
        other = register_account(world.ports, **ANN, name="Thief").account
    else:
        other = reserve_account(world.ports, email=ANN["email"], name="Thief", request_key="key").account
    assert revert_email_change(world.ports, token=back).email.typed == ANN["email"]
    assert {str(each) for each in world.store.accounts} == {proved}
    assert Deleted(str(other.id)) in world.events
    assert ("account.deleted", other.id) in {(each.kind, each.account_id) for each in world.store.audit}


def test_an_old_address_that_nobody_has_proved_gets_no_way_back(world, ann):
    ask(world, ann)
    confirm_email_change(world.ports, token=world.mailer.last("email_change").token)
    assert "email_change_notice" not in {mail.kind for mail in world.mailer.sent}


def test_a_change_that_waits_ends_with_a_reset_even_if_its_mail_comes_later(world, proved):
    change_email(world.ports, user_id=proved, new_email=NEW, current_password=ANN["password"])
    late = [each for each in world.events if isinstance(each, MailRequested) and each.kind == "email_change"]
    world.events[:] = [each for each in world.events if each not in late]
    forgot_password(world.ports, email=ANN["email"])
    deliver(world)
    reset_password(world.ports, token=world.mailer.last("password_reset").token, new_password="AnotherPass456!")
    world.events.extend(late)
    deliver(world)
    assert NEW not in {mail.to for mail in world.mailer.sent}


def test_a_closed_account_does_not_move(world, proved):
    ann = proved
    ask(world, ann)
    world.only_account().disable("spam", world.clock())
    with pytest.raises(InvalidToken):
        confirm_email_change(world.ports, token=world.mailer.last("email_change").token)


def test_a_link_whose_place_a_newer_one_takes_this_very_moment_is_refused(world, ann):
    """Its row was found by the link's hash; when it is locked, another token stands there."""
    token = world.mailer.last("verification").token

    with pytest.raises(InvalidToken):
        verify_email(replace(world.ports, unit_of_work=OvertakenUnitOfWork.of(world)), token=token)


class OvertakenUnitOfWork(FakeUnitOfWork):
    """A transaction in which every token has just been replaced when it is locked."""

    @classmethod
    def of(cls, world):
        return lambda: cls(world.store)

    def __enter__(self):
        super().__enter__()
        self.one_time_tokens = Overtaken(self._store.one_time_tokens, lambda token: (token.account_id, token.slot))
        return self


class Overtaken(FakeOneTimeTokens):
    def find(self, account_id, slot):
        return replace(super().find(account_id, slot), token_hash=b"newer")

"""Tokens of mails, sessions and attempts, many at once on a real database."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from auth_svc.application.change_email import change_email, confirm_email_change
from auth_svc.application.change_password import change_password
from auth_svc.application.claim_account import claim_account
from auth_svc.application.forgot_password import forgot_password
from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.application.reset_password import reset_password
from auth_svc.application.send_mail import send_mail
from auth_svc.application.sign_in import sign_in
from auth_svc.application.sign_out import sign_out
from auth_svc.application.verify_email import verify_email, verify_email_by_code
from auth_svc.domain.account import InvalidCredentials, NotClaimable
from auth_svc.domain.email import EmailTaken
from auth_svc.domain.one_time_token import MAX_TRIES, InvalidCode, InvalidToken

ANN = {"email": "ann@example.com", "password": "SecurePass123!"}
BOB = {"email": "bob@example.com", "password": "SecurePass123!"}


def ok(results):
    return [each for each in results if not isinstance(each, Exception)]


def kinds(results):
    return {type(each) for each in results if isinstance(each, Exception)}


def test_one_of_twenty_resets_with_one_token_wins(instance, postman, at_once, count):
    ports = instance()
    register_account(ports, **ANN, name="Ann")
    forgot_password(ports, email=ANN["email"])
    token = postman(ports, "password_reset").token
    results = at_once(
        20, lambda index: reset_password(ports, token=token, new_password=f"AnotherPass{index}!") or f"{index}"
    )
    (winner,) = ok(results)
    assert kinds(results) == {InvalidToken}
    assert sign_in(ports, email=ANN["email"], password=f"AnotherPass{winner}!")
    assert count("outbox", "type = 'user.password.changed'") == 1
    assert count("sessions", "revoked_at is null") == 1


def test_one_of_ten_claims_with_one_token_wins(instance, postman, at_once, count):
    ports = instance()
    reserve_account(ports, email=ANN["email"], name="Ann", request_key="key")
    token = postman(ports, "claim").token
    results = at_once(10, lambda index: claim_account(ports, token=token, password=f"OnlyOnePass{index}!"))
    assert len(ok(results)) == 1
    assert kinds(results) <= {InvalidToken, NotClaimable}
    assert count("sessions") == count("outbox", "type = 'user.claimed'") == 1


def test_ten_clicks_on_one_verification_link_verify_once(instance, postman, at_once, count):
    ports = instance()
    register_account(ports, **ANN, name="Ann")
    token = postman(ports, "verification").token
    results = at_once(10, lambda _: verify_email(ports, token=token))
    assert sorted(results) == ["already_verified"] * 9 + ["verified"]
    assert count("outbox", "type = 'user.email.verified'") == 1


def test_parallel_guesses_of_a_code_are_all_counted(instance, postman, at_once, count):
    ports = instance()
    account = register_account(ports, **ANN, name="Ann").account
    code = postman(ports, "verification").code
    wrong = [f"{(int(code) + each) % 10**6:06}" for each in range(1, 21)]
    results = at_once(20, lambda index: verify_email_by_code(ports, user_id=str(account.id), code=wrong[index]))
    assert kinds(results) == {InvalidCode}
    assert count("one_time_tokens", f"tries = {MAX_TRIES}") == 1
    with pytest.raises(InvalidCode):
        verify_email_by_code(ports, user_id=str(account.id), code=code)


def test_two_who_move_to_one_address_at_the_same_moment_have_one_winner(instance, postman, at_once):
    ports = instance()
    tokens = []
    for who in (ANN, BOB):
        account = register_account(ports, **who, name="Somebody").account
        change_email(ports, user_id=str(account.id), new_email="new@example.org", current_password=who["password"])
        tokens.append(postman(ports, "email_change").token)
    results = at_once(2, lambda index: confirm_email_change(ports, token=tokens[index]).email.typed)
    assert ok(results) == ["new@example.org"]
    assert kinds(results) == {EmailTaken}


def test_copies_of_one_mail_request_leave_one_token_that_works(instance, postman, at_once, auth_sessions):
    ports = instance()
    register_account(ports, **ANN, name="Ann")
    with auth_sessions() as session:
        envelope = session.scalar(sa.text("select envelope from outbox where type = 'mail.requested'"))
    at_once(6, lambda _: send_mail(ports, event_id=envelope["id"], **envelope["data"]))
    sent = ports.mailer.sent
    # Sent by all who did not know of each other; whichever is opened, it is the same link.
    assert len(sent) >= 1
    assert len({(each.id, each.token) for each in sent}) == 1
    assert verify_email(ports, token=sent[0].token) == "verified"


def test_of_fifty_guesses_at_the_same_moment_no_more_are_looked_at_than_allowed(instance, at_once, count):
    instances = [instance(), instance()]
    register_account(instances[0], **ANN, name="Ann")
    looked_at = []

    def watch(ports):
        verify = ports.hasher.verify

        class Watching:
            hash = ports.hasher.hash
            is_outdated = ports.hasher.is_outdated

            def verify(self, password_hash, password):
                looked_at.append(password_hash is not None)
                return verify(password_hash, password)

        return replace(ports, hasher=Watching())

    watched = [watch(each) for each in instances]
    results = at_once(50, lambda index: sign_in(watched[index % 2], email=ANN["email"], password=f"wrong {index}"))
    assert kinds(results) == {InvalidCredentials}
    assert (len(looked_at), sum(looked_at)) == (50, instances[0].rules.lockout.attempts)
    with pytest.raises(InvalidCredentials):
        sign_in(instance(), **ANN)
    assert count("audit_events", "kind = 'login.failed'") == 51
    assert count("audit_events", "(details->>'locked')::bool") == 1


def test_who_signs_in_while_the_password_changes_has_no_session_afterwards_or_the_new_password(
    instance, at_once, auth_sessions
):
    ports = instance(LOCKOUT_ATTEMPTS=100)
    account = register_account(ports, **ANN, name="Ann").account

    def act(index):
        if index:
            return sign_in(ports, **ANN)
        return change_password(
            ports,
            user_id=str(account.id),
            session_id=None,
            current_password=ANN["password"],
            new_password="AnotherPass456!",
        )

    results = at_once(8, act)
    assert kinds(results) <= {InvalidCredentials}
    with auth_sessions() as session:
        live = session.scalar(sa.text("select count(*) from sessions where revoked_at is null"))
    assert live == 0


def test_signing_out_everywhere_beside_sign_ins_leaves_only_what_was_opened_after_it(instance, at_once, auth_sessions):
    ports = instance(LOCKOUT_ATTEMPTS=100)
    first = register_account(ports, **ANN, name="Ann")
    asking = str(ports.refresh_tokens.session_of(first.refresh_token))

    def act(index):
        if index == 3:
            return sign_out(ports, user_id=str(first.account.id), session_id=asking, scope="global")
        return sign_in(ports, **ANN)

    assert kinds(at_once(8, act)) == set()
    with auth_sessions() as session:
        rows = session.execute(sa.text("select id, revoked_at from sessions")).all()
        not_before = session.scalar(sa.text("select not_before from accounts"))
    for id, revoked_at in rows:
        # What the gateways go by: the time in the id.
        assert (revoked_at is not None) == ((id.int >> 80) <= round(not_before.timestamp() * 1000))

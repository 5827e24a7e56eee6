"""Many at once, on a real database: the rules hold because the database keeps them."""

from dataclasses import replace
from datetime import timedelta

import jwt
import pytest
import sqlalchemy as sa

from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.application.get_jwks import get_jwks
from auth_svc.application.refresh_session import refresh_session
from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.application.sign_in import sign_in
from auth_svc.application.sign_out import sign_out
from auth_svc.domain.email import EmailTaken
from auth_svc.domain.session import RefreshReused
from lib.tokens import AccessTokenVerifier
from tests.integration.auth.conftest import DEFAULTS, quick_hasher

ANN = {"email": "Ann@example.com", "password": "SecurePass123!", "name": "Ann"}


def test_eight_registrations_of_one_address_make_one_account(instance, at_once, count):
    ports = instance()
    ensure_signing_key(ports)
    spellings = ["Ann@example.com", "ann@example.com", "ANN@EXAMPLE.COM", "aNN@eXample.com"] * 2
    results = at_once(8, lambda index: register_account(ports, **{**ANN, "email": spellings[index]}))
    refused = [each for each in results if isinstance(each, Exception)]
    assert len(refused) == 7
    assert all(type(each) is EmailTaken for each in refused)
    assert count("accounts") == count("sessions") == count("outbox", "type = 'user.registered'") == 1


def test_fifty_refreshes_of_one_token_give_one_successor(instance, at_once, count, auth_sessions):
    instances = [instance(), instance()]
    first = register_account(instances[0], **ANN).refresh_token
    results = at_once(50, lambda index: refresh_session(instances[index % 2], refresh_token=first).refresh_token)
    assert len(set(results)) == 1
    assert isinstance(results[0], str)
    assert results[0] != first
    assert count("sessions", "generation = 1 and revoked_at is null") == 1
    assert refresh_session(instances[1], refresh_token=results[0]).refresh_token not in (first, results[0])


def test_a_stolen_token_ends_the_session_whoever_comes_first(instance, at_once, count, auth_sessions):
    ports = instance()
    ports = replace(ports, refresh_policy=replace(ports.refresh_policy, grace=timedelta(0)))
    first = register_account(ports, **ANN).refresh_token
    results = at_once(4, lambda _: refresh_session(ports, refresh_token=first).refresh_token)
    winners = [each for each in results if isinstance(each, str)]
    assert len(winners) == 1
    assert all(type(each) is RefreshReused for each in results if each not in winners)
    with pytest.raises(RefreshReused):
        refresh_session(ports, refresh_token=winners[0])
    assert count("sessions", "revoked_reason = 'refresh_reused'") == 1
    assert count("outbox", "type = 'session.revoked'") == 1


def test_parallel_reservations_under_one_key_make_one_account(instance, at_once, count, auth_sessions):
    ports = instance()
    results = at_once(8, lambda _: reserve_account(ports, email="bob@example.com", name="Bob", request_key="key"))
    assert len({each.account.id for each in results}) == 1
    assert sum(each.created for each in results) == 1
    assert count("outbox", "type = 'user.registered'") == 1


def test_parallel_reservations_of_one_address_under_different_keys_make_one_account(
    instance, at_once, count, auth_sessions
):
    ports = instance()
    results = at_once(
        8, lambda index: reserve_account(ports, email="bob@example.com", name="Bob", request_key=f"key-{index}")
    )
    assert sum(isinstance(each, EmailTaken) for each in results) == 7
    assert count("accounts") == 1


def test_instances_that_start_together_agree_on_one_signing_key(instance, at_once, count, auth_sessions):
    instances = [instance() for _ in range(6)]
    results = at_once(6, lambda index: [each.kid for each in ensure_signing_key(instances[index])])
    # The one that signs, and the one that is published ahead.
    assert len(results[0]) == 2
    assert all(each == results[0] for each in results)
    assert count("signing_keys") == 2


def test_a_token_of_one_instance_is_good_for_another(instance):
    here, there = instance(), instance()
    token = register_account(here, **ANN).access_token.value
    verifier = AccessTokenVerifier(lambda: get_jwks(there), issuer=DEFAULTS["JWT_ISSUER"], audience="leveret")
    assert verifier.verify(token)["email_verified"] is False
    assert jwt.get_unverified_header(token)["kid"] in {each["kid"] for each in get_jwks(there)["keys"]}


def test_secret_key_is_rotated_by_putting_a_new_one_in_front(instance):
    old = instance()
    first = register_account(old, **ANN)
    second = refresh_session(old, refresh_token=first.refresh_token)
    both = instance(SECRET_KEY=f"a-newer-secret-key,{DEFAULTS['SECRET_KEY']}")
    assert refresh_session(both, refresh_token=first.refresh_token).refresh_token == second.refresh_token
    third = refresh_session(both, refresh_token=second.refresh_token)
    assert refresh_session(both, refresh_token=third.refresh_token)
    assert get_jwks(both) == get_jwks(old)


def test_sign_outs_and_refreshes_at_once_leave_no_session_alive(instance, at_once, count, auth_sessions):
    ports = instance()
    registered = register_account(ports, **ANN)
    user = str(registered.account.id)
    signed_in = [registered, *(sign_in(ports, email=ANN["email"], password=ANN["password"]) for _ in range(3))]
    asking = str(ports.refresh_tokens.session_of(registered.refresh_token))

    def act(index):
        if index % 2:
            return refresh_session(ports, refresh_token=signed_in[index // 2].refresh_token)
        return sign_out(ports, user_id=user, session_id=asking, scope="global")

    results = at_once(8, act)
    assert all(each is None for each in results[::2])
    assert count("sessions", "revoked_at is null") == 0
    # All of them end at once, so one of the four says it for all; the others find nothing left to end.
    assert count("outbox", "type = 'session.revoked'") == 1


def test_parallel_sign_ins_each_get_a_session_and_a_place_in_the_order(instance, at_once, count, auth_sessions):
    ports = instance()
    register_account(ports, **ANN)
    results = at_once(6, lambda _: sign_in(ports, email=ANN["email"], password=ANN["password"]))
    assert len({each.refresh_token for each in results}) == 6
    with auth_sessions() as session:
        sequences = session.execute(
            sa.text("select (envelope->>'sequence')::int from outbox where type = 'user.logged_in' order by 1")
        ).scalars()
        assert list(sequences) == [3, 4, 5, 6, 7, 8]


def test_a_hash_is_renewed_once_when_many_sign_in_after_a_change_of_parameters(instance, at_once, count, auth_sessions):
    ports = instance()
    register_account(ports, **ANN)
    stronger = replace(ports, hasher=quick_hasher(passes=3))
    results = at_once(4, lambda _: sign_in(stronger, email=ANN["email"], password=ANN["password"]))
    assert not [each for each in results if isinstance(each, Exception)]
    assert count("accounts", "password_hash like '%,t=3,%'") == 1


def test_no_token_and_no_password_is_anywhere_in_the_database(instance, at_once, count, auth_sessions):
    ports = instance()
    registered = register_account(ports, **ANN)
    renewed = refresh_session(ports, refresh_token=registered.refresh_token)
    sign_in(ports, email=ANN["email"], password=ANN["password"])
    secrets = [ANN["password"], registered.refresh_token, renewed.refresh_token, registered.access_token.value]
    with auth_sessions() as session:
        for table in ("accounts", "sessions", "signing_keys", "outbox", "inbox"):
            for row in session.execute(sa.text(f"select t::text from {table} t")).scalars():
                # Binary columns are shown as hexadecimal digits.
                assert not [secret for secret in secrets if secret in row or secret.encode().hex() in row]
                assert "PRIVATE KEY" not in row


def test_the_end_of_a_session_is_counted_from_its_sign_in(instance, at_once, count, auth_sessions):
    ports = instance()
    registered = register_account(ports, **ANN)
    refresh_session(ports, refresh_token=registered.refresh_token)
    with auth_sessions() as session:
        lifetime = session.scalar(sa.text("select expires_at - authenticated_at from sessions"))
    assert lifetime == timedelta(days=30)

"""What a stranger cannot make us do or guess: work for endless texts, short tokens, links for another address."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from auth_svc.application.change_email import change_email, confirm_email_change
from auth_svc.application.change_password import change_password
from auth_svc.application.forgot_password import forgot_password
from auth_svc.application.register_account import register_account
from auth_svc.application.reset_password import reset_password
from auth_svc.application.sign_in import sign_in
from auth_svc.application.verify_email import verify_email
from auth_svc.domain.account import InvalidCredentials
from auth_svc.domain.email import Email
from auth_svc.domain.one_time_token import LIFETIMES, InvalidToken
from auth_svc.domain.password import MAX_LENGTH, WeakPassword

ANN = {"email": "ann@example.com", "password": "umbrella lantern gravel", "name": "Ann"}
NEW = "anna@example.org"
ENDLESS = [MAX_LENGTH + 1, 1_000, 1_000_000]


class Watching:
    """A hasher that notes how long the texts are that it gets."""

    def __init__(self, hasher: Any) -> None:
        self._hasher, self.lengths = hasher, []
        self.is_outdated = hasher.is_outdated

    def hash(self, password: str) -> str:
        self.lengths.append(len(password))
        return str(self._hasher.hash(password))

    def verify(self, password_hash: str | None, password: str) -> bool:
        self.lengths.append(len(password))
        return bool(self._hasher.verify(password_hash, password))


@pytest.fixture
def ports(instance: Any) -> Any:
    ports = instance()
    return replace(ports, hasher=Watching(ports.hasher))


@pytest.fixture
def ann(ports: Any) -> str:
    return str(register_account(ports, **ANN).account.id)


@pytest.mark.parametrize("length", ENDLESS)
def test_a_password_that_is_too_long_is_refused_before_anything_is_hashed(
    ports: Any, postman: Any, ann: str, length: int
) -> None:
    endless = "x" * length
    forgot_password(ports, email=ANN["email"])
    token = postman(ports, "password_reset").token
    ports.hasher.lengths.clear()
    with pytest.raises(WeakPassword):
        register_account(ports, email="bob@example.com", password=endless, name="Bob")
    with pytest.raises(WeakPassword):
        reset_password(ports, token=token, new_password=endless)
    assert ports.hasher.lengths == []
    with pytest.raises(WeakPassword):
        change_password(ports, user_id=ann, session_id=None, current_password=ANN["password"], new_password=endless)
    # The current password, and no other.
    assert ports.hasher.lengths == [len(ANN["password"])]


@pytest.mark.parametrize("length", ENDLESS)
def test_signing_in_with_an_endless_password_costs_as_much_as_with_none(ports: Any, ann: str, length: int) -> None:
    ports.hasher.lengths.clear()
    with pytest.raises(InvalidCredentials):
        sign_in(ports, email=ANN["email"], password="x" * length)
    assert ports.hasher.lengths == [0]


def test_a_mailed_token_has_256_bits_and_is_another_each_time(ports: Any, postman: Any, ann: str) -> None:
    tokens = [postman(ports, "verification").token]
    for _ in range(4):
        forgot_password(ports, email=ANN["email"])
        tokens.append(postman(ports, "password_reset").token)
    assert len(set(tokens)) == 5
    for token in tokens:
        assert len(base64.urlsafe_b64decode(token.removeprefix("lot_") + "=")) == 32
    assert LIFETIMES["password_reset"].total_seconds() <= 3600


def test_of_a_mailed_token_a_hash_alone_is_stored(ports: Any, postman: Any, ann: str, auth_sessions: Any) -> None:
    mail = postman(ports, "verification")
    raw = base64.urlsafe_b64decode(mail.token.removeprefix("lot_") + "=")
    with auth_sessions() as session:
        kept = session.execute(sa.text("select t::text from one_time_tokens t")).scalars().one()
        outbox = "\n".join(session.execute(sa.text("select t::text from outbox t")).scalars())
    for found in (kept, outbox):
        for spelling in (mail.token, mail.token.encode().hex(), raw.hex(), mail.code, mail.code.encode().hex()):
            assert spelling not in found.replace(mail.id, "")


def test_a_verification_is_for_the_address_that_it_was_mailed_to(ports: Any, postman: Any, ann: str) -> None:
    first = postman(ports, "verification").token
    change_email(ports, user_id=ann, new_email=NEW, current_password=ANN["password"])
    confirm_email_change(ports, token=postman(ports, "email_change").token)
    with pytest.raises(InvalidToken):
        verify_email(ports, token=first)


def test_another_spelling_of_ones_own_address_is_stored(ports: Any, postman: Any, ann: str, auth_sessions: Any) -> None:
    def stored() -> Any:
        with auth_sessions() as session:
            return session.execute(sa.text("select email, email_key from accounts")).one()

    key = stored().email_key
    change_email(ports, user_id=ann, new_email="Ann@Example.com", current_password=ANN["password"])
    confirm_email_change(ports, token=postman(ports, "email_change").token)
    assert stored() == ("Ann@Example.com", key)
    # And in a transaction of one message.
    with ports.unit_of_work() as uow:
        account = uow.accounts.find_by_email(Email(key))
        uow.accounts.update(account)
        account.email = Email("ANN@example.com")
        uow.commit()
    assert stored() == ("ANN@example.com", key)


@pytest.mark.parametrize("other", ["ann+shop@example.com", "a.nn@example.com", "ann@sub.example.com"])
def test_addresses_that_may_be_two_peoples_are_two(ports: Any, ann: str, other: str) -> None:
    """What a provider makes of a plus or a dot is its own business."""
    account = register_account(ports, email=other, password=ANN["password"], name="Another").account
    assert str(account.id) != ann

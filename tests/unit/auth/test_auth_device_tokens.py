"""A device token says for which account, and since which password; it cannot be made or changed by others."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_svc.domain.account import Account
from auth_svc.domain.device import Device
from auth_svc.domain.email import Email
from auth_svc.infrastructure.device_tokens import HmacDeviceTokens
from lib.ids import new_id

MOMENT = datetime(2026, 2, 1, 12, 0, 0, 123457, tzinfo=UTC)
TOKENS = HmacDeviceTokens([b"k" * 32])


def account(password_set_at=MOMENT):
    made = Account.register(id=new_id(), email=Email("ann@example.com"), name="Ann", password_hash="h", now=MOMENT)
    made.password_set_at = password_set_at
    return made


@given(st.none() | st.datetimes(timezones=st.just(UTC)))
def test_a_device_is_known_to_the_account_that_it_was_issued_for(moment):
    ann = account(moment)
    token = TOKENS.issue(ann)
    assert TOKENS.open(token).is_known_to(ann)
    assert token.startswith("ldt_")
    assert len(token) == 84


def test_each_device_is_another_one():
    ann = account()
    assert TOKENS.open(TOKENS.issue(ann)).id != TOKENS.open(TOKENS.issue(ann)).id


def test_a_device_is_strange_to_other_accounts_and_after_another_password():
    ann = account()
    device = TOKENS.open(TOKENS.issue(ann))
    assert not device.is_known_to(account())
    for moment in (None, MOMENT + timedelta(microseconds=1), MOMENT - timedelta(microseconds=1)):
        ann.password_set_at = moment
        assert not device.is_known_to(ann)


def test_it_is_compared_with_what_the_database_gives_back():
    """In another zone it is the same moment."""
    ann = account()
    device = TOKENS.open(TOKENS.issue(ann))
    assert device == Device(device.id, ann.id, MOMENT.astimezone())


@given(st.integers(0, 59), st.integers(1, 255))
def test_no_byte_of_it_can_be_changed(at, by):
    raw = bytearray(base64.urlsafe_b64decode(TOKENS.issue(account())[4:]))
    raw[at] ^= by
    assert TOKENS.open("ldt_" + base64.urlsafe_b64encode(raw).decode()) is None


@pytest.mark.parametrize("bad", [None, 7, "", "ldt_", "made-up", "ldt_" + "A" * 80, "ldt_" + "A" * 76, b"ldt_"])
def test_what_is_none_is_none(bad):
    assert TOKENS.open(bad) is None


@pytest.mark.parametrize(
    "change", [lambda t: t + "=", lambda t: t[:-1], lambda t: t + "\n", lambda t: t[:4] + t[4:].swapcase()]
)
def test_it_has_one_spelling(change):
    assert TOKENS.open(change(TOKENS.issue(account()))) is None


def test_older_keys_open_and_the_newest_seals():
    ann = account()
    old = TOKENS.issue(ann)
    both = HmacDeviceTokens([b"n" * 32, b"k" * 32])
    assert both.open(old) == TOKENS.open(old)
    assert TOKENS.open(both.issue(ann)) is None

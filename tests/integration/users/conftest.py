"""users_svc's ports on a real database, without the broker and without auth_svc."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lib import config as configuration
from lib.ids import new_id
from tests.fakes.users import FakeIdentities
from users_svc.bootstrap import build_ports
from users_svc.domain.account_state import AccountState
from users_svc.domain.profile import Profile
from users_svc.domain.text import address_key

ROOT = Path(__file__).resolve().parents[3]
DEFAULTS = configuration.load(ROOT / "config.yaml", {})


class Nobody:
    """A client of auth_svc that is never asked: `FakeIdentities` stands before it."""


@pytest.fixture
def ports(users_sessions):
    """The ports of the running service on an empty database; accounts are known to a `FakeIdentities`."""
    return replace(build_ports(DEFAULTS, users_sessions, Nobody()), identities=FakeIdentities())


@pytest.fixture
def person(ports):
    """Store a profile and the state of its account; return the id.

    ``person(name="Ann", private=True, …)``: any field of `Profile` but the id; the e-mail address is one of its own
    unless it is given.
    """

    def make(name="Ann Example", **fields):
        user_id, now = new_id(), ports.now()
        email, disabled = fields.pop("email", f"{user_id.hex}@example.com"), fields.get("disabled", False)
        account = AccountState(user_id, email=email, name=name, disabled=disabled, email_sequence=1, name_sequence=1)
        account.email_verified = fields.pop("email_verified", True)
        profile = Profile.open(user_id, email=email, name=name, now=now)
        for field, value in fields.items():
            # A typing error would otherwise make an attribute of its own.
            assert hasattr(profile, field), field
            setattr(profile, field, value)
        profile.index()
        profile.email_key = address_key(email) if account.email_verified else None
        with ports.unit_of_work() as uow:
            uow.accounts.add_or_get(account)
            uow.profiles.add_or_get(profile)
            uow.commit()
        return user_id

    return make

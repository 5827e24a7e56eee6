"""What auth_svc publishes has the agreed shape. The samples beside this file are what subscribers build against."""

import json
import re
from pathlib import Path

import pytest

from auth_svc.domain.account import Account
from auth_svc.domain.email import Email
from auth_svc.domain.session import Session
from lib.ids import new_id
from lib.outbox import envelope
from tests.fakes.auth import POLICY, START

HERE = Path(__file__).parent
PERSONAL = {"email", "name"}
SECRET = re.compile("password|token|hash|secret|key", re.IGNORECASE)
FREE_TO_BE_PERSONAL = re.compile(r"user\.(registered|claimed|email\..*)")


def sample(event_type):
    return json.loads((HERE / f"{event_type}.json").read_text(encoding="utf-8"))


def shape(value):
    """Return keys and types, all the way down."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return type(value)


def registered():
    return Account.register(
        id=new_id(), email=Email("Ann@example.com"), name="Ann Example", password_hash="hash", now=START
    )


def invited():
    return Account.invite(id=new_id(), email=Email("Ann@example.com"), name="Ann Example", request_key="key", now=START)


def logged_in():
    account = registered()
    account.pull_events()
    account.log_in(session_id=new_id(), method="pwd", password_set_at=START)
    return account


def revoked():
    session = Session.open(
        id=new_id(), account_id=new_id(), token_hash=b"", amr=("pwd",), now=START, lifetime=POLICY.lifetime
    )
    session.revoke("logout", START)
    return session


@pytest.mark.parametrize(
    "event_type, happening",
    [
        ("user.registered", registered),
        ("user.registered", invited),
        ("user.logged_in", logged_in),
        ("session.revoked", revoked),
    ],
)
def test_auth_svc_publishes_the_agreed_shape(event_type, happening):
    aggregate = happening()
    ((sequence, event),) = aggregate.pull_events()
    published = json.loads(json.dumps(envelope(str(aggregate.id), sequence, event, "request-1")))
    agreed = sample(event_type)
    assert shape(published) == shape(agreed)
    assert published["type"] == agreed["type"] == event_type
    assert published["schema_version"] == agreed["schema_version"]
    assert published["subject"] == str(aggregate.id)
    assert published["data"].keys() == agreed["data"].keys()


def test_the_status_tells_an_invited_account_from_a_registered_one():
    statuses = [happening().pull_events()[0][1].status for happening in (registered, invited)]
    assert statuses == ["active", "invited"]


SAMPLES = sorted({*HERE.glob("user.*.json"), *HERE.glob("session.*.json")})


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_a_whole_envelope_without_secrets(path):
    agreed = json.loads(path.read_text(encoding="utf-8"))
    assert agreed["type"] == path.name.removesuffix(".json")
    assert list(agreed) == [
        "id",
        "type",
        "schema_version",
        "occurred_at",
        "subject",
        "sequence",
        "correlation_id",
        "data",
    ]
    assert not [name for name in agreed["data"] if SECRET.search(name)]
    if not FREE_TO_BE_PERSONAL.fullmatch(agreed["type"]):
        assert not PERSONAL & agreed["data"].keys()

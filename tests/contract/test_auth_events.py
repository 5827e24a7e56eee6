"""What auth_svc publishes has the agreed shape. The samples beside this file are what subscribers build against."""

import json
import re
from pathlib import Path

import pytest

from auth_svc.domain import account_events, mail, session
from auth_svc.domain.account import Account
from auth_svc.domain.account_events import LoginFailed
from auth_svc.domain.email import Email
from auth_svc.domain.mail import MailRequest
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


def after(act, make=registered):
    """Return an account that nothing but `act` has happened to."""

    def happen():
        account = make()
        account.pull_events()
        act(account)
        return account

    return happen


def mailed():
    request = MailRequest(id=new_id())
    request.send("password_reset", new_id())
    return request


HAPPENINGS = [
    ("user.registered", registered),
    ("user.registered", invited),
    ("user.logged_in", logged_in),
    ("user.claimed", after(lambda account: account.claim(password_hash="hash", now=START), invited)),
    ("user.email.verified", after(lambda account: account.verify_email())),
    ("user.email.changed", after(lambda account: account.change_email(Email("anna@example.org")))),
    ("user.password.changed", after(lambda account: account.set_password("hash", method="change", now=START))),
    ("user.login.failed", after(lambda account: account.record(LoginFailed(str(account.id), "pwd", locked=False)))),
    ("user.disabled", after(lambda account: account.disable("spam", START))),
    (
        "user.enabled",
        after(lambda account: account.disable("spam", START) and account.pull_events() and account.enable("fine")),
    ),
    ("user.roles.changed", after(lambda account: account.set_roles(("finance",)))),
    ("user.deleted", after(lambda account: account.delete())),
    ("session.revoked", revoked),
    ("session.revoked.all", after(lambda account: account.end_sessions(newest=START, reason="logout", now=START))),
    ("mail.requested", after(lambda account: account.request_mail("claim"))),
    ("mail.requested", mailed),
]


@pytest.mark.parametrize("name, happening", HAPPENINGS)
def test_auth_svc_publishes_the_agreed_shape(name, happening):
    aggregate = happening()
    ((sequence, event),) = aggregate.pull_events()
    published = json.loads(json.dumps(envelope(str(aggregate.id), sequence, event, "request-1")))
    agreed = sample(name)
    assert shape(published) == shape(agreed)
    assert published["type"] == agreed["type"] == name.removesuffix(".all")
    assert published["schema_version"] == agreed["schema_version"]
    assert published["subject"] == str(aggregate.id)
    assert published["data"].keys() == agreed["data"].keys()


def test_every_event_of_the_life_cycle_has_a_sample():
    defined = {
        each.type for module in (account_events, mail, session) for each in vars(module).values() if is_event(each)
    }
    assert defined == {name.removesuffix(".all") for name, _ in HAPPENINGS}
    assert {path.name.removesuffix(".json") for path in SAMPLES} == {name for name, _ in HAPPENINGS}


def is_event(each):
    return isinstance(each, type) and isinstance(getattr(each, "type", None), str)


def test_the_status_tells_an_invited_account_from_a_registered_one():
    statuses = [happening().pull_events()[0][1].status for happening in (registered, invited)]
    assert statuses == ["active", "invited"]


# The others about users are users_svc's.
NOT_OURS = re.compile(r"user\.(profile|follow|unfollow|block)")
SAMPLES = sorted(
    path
    for path in {*HERE.glob("user.*.json"), *HERE.glob("session.*.json"), *HERE.glob("mail.*.json")}
    if not NOT_OURS.match(path.name)
)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_a_whole_envelope_without_secrets(path):
    agreed = json.loads(path.read_text(encoding="utf-8"))
    assert agreed["type"] == path.name.removesuffix(".json").removesuffix(".all")
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

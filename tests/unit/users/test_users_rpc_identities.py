"""auth_svc's answers in this service's words, and how the service is put together."""

from uuid import UUID

import pytest

from lib.errors import Limited, OutcomeUnknown, Unavailable
from lib.faults import Fault
from users_svc.bootstrap import CONFIG, build_ports
from users_svc.domain.identity import (
    EmailTaken,
    Identity,
    InvalidEmail,
    InvalidRequestKey,
    RequestInProgress,
    RequestKeyReused,
)
from users_svc.domain.profile import UserNotFound
from users_svc.domain.text import InvalidName
from users_svc.infrastructure.rpc_identities import RpcIdentities

MAILS = {
    "SMTP_URL": "smtp://mail.example.org",
    "SMTP_CA_FILE": "",
    "MAIL_FROM": "mail@example.org",
    "MAIL_FOLDER": "",
    "PUBLIC_URL": "https://api.example.org",
    "NOTIFICATION_TTL": 31_536_000,
    "READ_NOTIFICATION_TTL": 7_776_000,
    "NOTIFICATIONS_KEPT": 1000,
    "SOCIAL_MAILS_PER_HOUR": 10,
}

ANN = "0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f"


class Auth:
    """auth_svc as its RPC client shows it: answers once, or raises."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def reserve_account(self, email, name, request_key):
        return self._answer(("reserve_account", email, name, request_key))

    def get_account(self, user_id):
        return self._answer(("get_account", user_id))

    def _answer(self, call):
        self.asked.append(call)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def reserve(auth):
    return RpcIdentities(auth).reserve_account(email="ann@example.com", name="Ann", request_key="one-key")


def test_a_reservation_is_asked_and_answered():
    auth = Auth({"id": ANN, "email": "ann@example.com", "name": "Ann", "status": "invited", "created": True})
    assert reserve(auth) == Identity(UUID(ANN), "ann@example.com", "Ann")
    assert auth.asked == [("reserve_account", "ann@example.com", "Ann", "one-key")]


def test_a_reservation_that_tells_nothing_is_no_account():
    assert reserve(Auth({"accepted": True})) is None


def test_an_account_is_asked_for_by_its_id_as_text():
    auth = Auth({"id": ANN, "email": "ann@example.com", "name": "Ann", "roles": [], "status": "active"})
    assert RpcIdentities(auth).get_account(UUID(ANN)) == Identity(UUID(ANN), "ann@example.com", "Ann")
    assert auth.asked == [("get_account", ANN)]


@pytest.mark.parametrize("status, disabled", [("active", False), ("invited", False), ("disabled", True)])
def test_an_account_that_may_not_be_used_is_known_by_its_status(status, disabled):
    auth = Auth({"id": ANN, "email": "ann@example.com", "name": "Ann", "roles": [], "status": status})
    assert RpcIdentities(auth).get_account(UUID(ANN)).disabled is disabled


@pytest.mark.parametrize(
    "fault, error",
    [
        (Fault("conflict", "email_taken", "taken"), EmailTaken),
        (Fault("invalid", "invalid_email", "no address"), InvalidEmail),
        (Fault("invalid", "invalid_name", "no name"), InvalidName),
        (Fault("invalid", "invalid_request_key", "no key"), InvalidRequestKey),
        (Fault("conflict", "request_key_reused", "another's"), RequestKeyReused),
        (Fault("conflict", "request_in_progress", "running"), RequestInProgress),
        (Fault("not_found", "account_not_found", "nobody"), UserNotFound),
        (Fault("unavailable", "outcome_unknown", "perhaps"), OutcomeUnknown),
        (Fault("unavailable", "draining", "later"), Unavailable),
        (Fault("limited", "rate_limited", "too fast"), Limited),
    ],
)
def test_a_refusal_comes_in_this_services_words(fault, error):
    with pytest.raises(error) as refused:
        reserve(Auth(fault))
    assert type(refused.value) is error
    assert refused.value.message == fault.message


def test_a_refusals_details_are_passed_on():
    with pytest.raises(Unavailable) as refused:
        reserve(Auth(Fault("unavailable", "busy", "later", {"retry_after": 3})))
    assert refused.value.details == {"retry_after": 3}


@pytest.mark.parametrize("error", [Fault("forbidden", "forbidden", "no"), Unavailable("away"), TimeoutError("late")])
def test_what_is_no_answer_for_the_caller_goes_through_as_it_is(error):
    with pytest.raises(type(error)) as raised:
        reserve(Auth(error))
    assert raised.value is error


@pytest.mark.parametrize(
    "config, open_invitations",
    [
        ({"APP_ENV": "development", "OPEN_INVITATIONS": None}, True),
        ({"APP_ENV": "production", "OPEN_INVITATIONS": None}, False),
        ({"APP_ENV": "production"}, False),
        ({"APP_ENV": "development", "OPEN_INVITATIONS": 0}, False),
        ({"APP_ENV": "development", "OPEN_INVITATIONS": "0"}, False),
        ({"APP_ENV": "development", "OPEN_INVITATIONS": False}, False),
        ({"APP_ENV": "production", "OPEN_INVITATIONS": 1}, True),
        ({"APP_ENV": "production", "OPEN_INVITATIONS": "1"}, True),
        ({"APP_ENV": "production", "OPEN_INVITATIONS": True}, True),
    ],
)
def test_invitations_are_open_in_development_and_closed_in_production_unless_it_is_said(config, open_invitations):
    CONFIG["OPEN_INVITATIONS"]("OPEN_INVITATIONS", config.get("OPEN_INVITATIONS"))
    ports = build_ports({**MAILS, **config, "SECRET_KEY": "a-secret-key"}, sessions=None, auth=None)
    assert ports.open_invitations is open_invitations

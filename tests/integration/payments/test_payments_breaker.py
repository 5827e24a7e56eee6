"""The breaker as the service has it: in front of the sandbox, with the operator's settings."""

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from payments_svc.bootstrap import build_ports
from payments_svc.domain.outcome import ProviderBusy, ProviderUnreachable
from tests.integration.payments.test_payments_races import CONFIG, pay
from tests.support.waiting import eventually


@pytest.fixture
def ports(payments_sessions):
    return build_ports({**CONFIG, "PROVIDER_BREAKER_FAILURES": 3, "PROVIDER_BREAKER_PAUSE": 0.5}, payments_sessions)


@pytest.fixture
def charges(payments_sessions):
    def charges():
        with payments_sessions() as session:
            return session.execute(sa.text("select count(*) from sandbox_charges")).scalar_one()

    return charges


def attempt(ports, token, key=None):
    return pay(ports, payment_method=token, idempotency_key=key or str(new_id())).body["status"]


def test_after_failures_in_a_row_the_sandbox_is_left_alone_and_then_tried(ports, charges):
    for _ in range(3):
        with pytest.raises(ProviderUnreachable):
            attempt(ports, "tok_unreachable")
    with pytest.raises(ProviderUnreachable):
        attempt(ports, "tok_visa", "patient")
    assert charges() == 0
    # Nothing was executed for certain, so the same key may come again.
    eventually(lambda: _tried(ports))
    assert charges() == 1
    assert attempt(ports, "tok_visa") == "succeeded"


def _tried(ports):
    try:
        return attempt(ports, "tok_visa", "patient") == "succeeded"
    except ProviderUnreachable:
        return False


def test_declines_never_keep_anybody_away(ports):
    for _ in range(5):
        with pytest.raises(Exception, match="declined"):
            attempt(ports, "tok_declined")
    assert attempt(ports, "tok_visa") == "succeeded"


def test_a_busy_sandbox_is_left_alone_for_as_long_as_it_asks(ports, charges):
    with pytest.raises(ProviderBusy) as caught:
        attempt(ports, "tok_rate_limited", "patient")
    assert caught.value.details["retry_after"] == 1
    with pytest.raises(ProviderBusy):
        attempt(ports, "tok_visa")
    before = charges()

    def later():
        try:
            return attempt(ports, "tok_rate_limited", "patient") == "succeeded"
        except ProviderBusy:
            return False

    eventually(later)
    assert charges() == before

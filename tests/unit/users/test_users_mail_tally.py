"""What becomes of mails, as Prometheus reads it."""

import pytest
from prometheus_client import generate_latest

from lib import metrics
from users_svc.infrastructure.mail.tally import PrometheusMailTally

TALLY = PrometheusMailTally()
COUNTS = [
    (lambda: TALLY.sent("followed"), "sent", ""),
    (lambda: TALLY.failed("followed", "given_up"), "failed", "given_up"),
    (lambda: TALLY.dropped("followed", "too_many"), "dropped", "too_many"),
]


def value(name, **labels):
    return metrics.REGISTRY.get_sample_value(name, labels) or 0


@pytest.mark.parametrize("act, outcome, reason", COUNTS)
def test_each_mail_is_counted_by_type_outcome_and_reason(act, outcome, reason):
    labels = {"kind": "followed", "outcome": outcome, "reason": reason}
    before = value("users_notification_mails_total", **labels)
    others = value("users_notification_mails_total", **{**labels, "kind": "login_locked"})
    for _ in range(3):
        act()
    assert value("users_notification_mails_total", **labels) == before + 3
    assert value("users_notification_mails_total", **{**labels, "kind": "login_locked"}) == others


def test_those_that_wait_are_a_number_that_goes_up_and_down():
    for number in (7, 0, 3):
        TALLY.waiting(number)
        assert value("users_notification_mails_waiting") == number
    assert b"users_notification_mails_waiting 3.0" in generate_latest(metrics.REGISTRY)

"""What payments_svc publishes has the agreed shape, and it understands what it subscribes to."""

import json
import re
from pathlib import Path
from uuid import UUID

import pytest

from lib.ids import new_id
from lib.outbox import envelope
from payments_svc.domain.arguments import InvalidUserId
from payments_svc.domain.details import Details
from payments_svc.domain.money import Money
from payments_svc.domain.outcome import Authorized, Refused, Succeeded, Voided
from payments_svc.domain.payment import Payment
from payments_svc.presentation.service import PaymentsService
from tests.fakes.payments import DEADLINES, NOON, FakeWorld

HERE = Path(__file__).parent
SAMPLES = sorted(HERE.glob("payment.*.json"))
SENSITIVE = re.compile("email|name|description|metadata|method|token|secret|card|key", re.IGNORECASE)


def sample(event_type):
    return json.loads((HERE / f"{event_type}.json").read_text(encoding="utf-8"))


def shape(value):
    """Return keys and types, all the way down."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return type(value)


def created():
    return Payment.open(
        id=new_id(),
        customer_id=new_id(),
        money=Money(1050, "EUR"),
        details=Details("for Ann Example", {"email": "ann@example.com"}, "order-17"),
        now=NOON,
    )


def attempted(outcome):
    payment = created()
    payment.pull_events()
    payment.begin_charge(new_id(), payment_method="tok_visa", provider="sandbox", now=NOON, check_at=NOON)
    payment.settle(outcome, now=NOON, deadlines=DEADLINES)
    return payment


def refunded():
    return refunds(Succeeded())


def refund_failed():
    return refunds(Succeeded(), Refused("expired_or_canceled_card"))


def refunds(*outcomes):
    payment = attempted(Succeeded())
    refund = payment.open_refund(
        id=new_id(),
        attempt_id=new_id(),
        amount=400,
        reason="for Ann Example",
        requested_by=payment.customer_id,
        now=NOON,
        check_at=NOON,
    )
    for outcome in outcomes:
        payment.pull_events()
        payment.settle_refund(refund, outcome, now=NOON, deadlines=DEADLINES)
    return payment


HAPPENINGS = {
    "payment.created": created,
    "payment.authorized": lambda: attempted(Authorized(NOON)),
    "payment.succeeded": lambda: attempted(Succeeded()),
    "payment.failed": lambda: attempted(Refused("insufficient_funds")),
    "payment.canceled": lambda: attempted(Voided("expired")),
    "payment.refunded": refunded,
    "payment.refund_failed": refund_failed,
}


@pytest.mark.parametrize("event_type", sorted(HAPPENINGS))
def test_payments_svc_publishes_the_agreed_shape(event_type):
    payment = HAPPENINGS[event_type]()
    ((sequence, event),) = payment.pull_events()
    published = json.loads(json.dumps(envelope(str(payment.id), sequence, event, "request-1")))
    agreed = sample(event_type)
    assert shape(published) == shape(agreed)
    assert (published["type"], published["schema_version"]) == (event_type, agreed["schema_version"])
    assert published["subject"] == published["data"]["id"] == str(payment.id)
    assert published["data"]["user_id"] == str(payment.customer_id)


def test_there_is_a_sample_of_every_event_and_no_other():
    assert [path.name.removesuffix(".json") for path in SAMPLES] == sorted(HAPPENINGS)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_sample_holds_nothing_about_a_person_and_nothing_to_pay_with(path):
    agreed = json.loads(path.read_text(encoding="utf-8"))
    assert agreed["subject"] == agreed["data"]["id"]
    assert [name for name in agreed["data"] if SENSITIVE.search(name)] == []


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_amounts_are_whole_numbers(path):
    data = json.loads(path.read_text(encoding="utf-8"))["data"]
    amounts = {name: value for name, value in data.items() if name.startswith("amount")}
    assert amounts
    assert {type(value) for value in amounts.values()} == {int}


# --- what is consumed ---


@pytest.fixture
def world():
    return FakeWorld()


@pytest.fixture
def service(world):
    service = PaymentsService()
    service.ports = world.ports()
    return service


@pytest.mark.parametrize("status", ["active", "invited"])
def test_a_registration_makes_a_customer_once(world, service, status):
    event = sample("user.registered")
    event["data"]["status"] = status
    for _ in range(2):
        service.on_user_registered(event)
    assert list(world.customers) == [UUID(event["data"]["id"])]


def test_fields_that_a_later_version_adds_are_passed_over(world, service):
    event = sample("user.registered")
    event["data"]["favourite_hare"] = "Lepus europaeus"
    event["tenant"] = "later"
    service.on_user_registered(event)
    assert len(world.customers) == 1


def test_an_event_that_lacks_what_is_needed_is_not_taken_as_done(world, service):
    event = sample("user.registered")
    del event["data"]["id"]
    with pytest.raises(KeyError):
        service.on_user_registered(event)
    assert world.customers == {}


SUBSCRIBERS = {
    "user.registered": {"on_user_registered"},
    "user.disabled": {"on_user_disabled"},
    "user.enabled": {"on_user_enabled"},
    "user.deleted": {"on_user_deleted"},
}
FOLLOWED = sorted(set(SUBSCRIBERS) - {"user.registered"})


def tell(service, event):
    """Hand an event to its subscribers, twice: the broker may do so."""
    for handler in sorted(SUBSCRIBERS[event["type"]]) * 2:
        getattr(service, handler)(event)


def test_every_event_of_an_account_that_matters_here_has_its_subscriber():
    found: dict[str, set[str]] = {}
    for name, method in vars(PaymentsService).items():
        for entrypoint in getattr(method, "nameko_entrypoints", ()):
            if getattr(entrypoint, "source_service", None) == "auth_svc":
                found.setdefault(entrypoint.event_type, set()).add(name)
    assert found == SUBSCRIBERS


def test_the_customer_is_disabled_and_enabled_with_its_account(world, service):
    tell(service, sample("user.registered"))
    (customer_id,) = world.customers
    for event_type, status in (("user.disabled", "disabled"), ("user.enabled", "active"), ("user.disabled", "active")):
        event = sample(event_type)
        tell(service, event)
        assert world.customers[customer_id].status == status
    assert world.customers[customer_id].status_sequence == sample("user.enabled")["sequence"]
    assert str(customer_id) == sample("user.disabled")["subject"] == sample("user.disabled")["data"]["id"]


def test_the_customer_of_a_deleted_account_goes(world, service):
    tell(service, sample("user.registered"))
    tell(service, sample("user.deleted"))
    assert world.customers == {}
    assert [str(each) for each in world.tombstones] == [sample("user.deleted")["data"]["id"]]


@pytest.mark.parametrize("event_type", FOLLOWED)
def test_fields_that_a_later_version_adds_to_an_event_are_passed_over(world, service, event_type):
    event = sample(event_type)
    event["data"]["favourite_hare"] = "Lepus europaeus"
    event["schema_version"] += 1
    event["tenant"] = "later"
    tell(service, event)
    assert len(world.database.committed.inbox) == 1


@pytest.mark.parametrize(
    "event_type, missing",
    [
        (event_type, missing)
        for event_type in FOLLOWED
        for missing in ("id", "sequence")
        if (event_type, missing) != ("user.deleted", "sequence")
    ],
)
def test_an_event_of_a_life_that_lacks_a_part_is_not_taken_as_done(world, service, event_type, missing):
    event = sample(event_type)
    del (event if missing == "sequence" else event["data"])[missing]
    with pytest.raises(KeyError):
        tell(service, event)
    assert (world.customers, world.tombstones, world.database.commits) == ({}, {}, 0)


@pytest.mark.parametrize("user_id", ["nobody", "", None, 7])
@pytest.mark.parametrize("event_type", FOLLOWED)
def test_an_event_about_no_account_is_not_taken_as_done(world, service, event_type, user_id):
    event = sample(event_type)
    event["data"]["id"] = user_id
    with pytest.raises(InvalidUserId):
        tell(service, event)
    assert world.database.commits == 0

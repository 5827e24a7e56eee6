"""What belongs to one customer is not there for another, whichever route is asked.

The table has every route of payments; one that is added to the gateway and not to the table fails the first test.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from gateway.app import create_app
from gateway.settings import load_config
from lib.ids import new_id
from tests.e2e.client import Client
from tests.fakes.cluster import FakeCluster
from tests.support.databases import ROOT
from tests.support.stack import Stack

AREAS = {"payments", "payment_methods", "transactions", "webhooks", "admin_payments", "admin_ledger"}
PAYMENT, REFUND, METHOD = "payment", "refund", "method"


@dataclass(frozen=True)
class Case:
    """What becomes of a request with an id of somebody else.

    :param of: whose id stands in the path
    :param code: of the answer
    """

    of: str
    code: str
    status: int = 404
    body: dict[str, Any] = field(default_factory=dict)


NO_PAYMENT, NO_REFUND = Case(PAYMENT, "payment_not_found"), Case(REFUND, "refund_not_found")
NO_METHOD = Case(METHOD, "payment_method_not_found")
STAFF_ONLY = Case(PAYMENT, "forbidden", 403)

BY_ID = {
    "GET /api/v1/payments/<id:payment_id>": NO_PAYMENT,
    "POST /api/v1/payments/<id:payment_id>/confirm": Case(
        PAYMENT, "payment_not_found", body={"payment_method": "tok_visa"}
    ),
    "POST /api/v1/payments/<id:payment_id>/capture": NO_PAYMENT,
    "POST /api/v1/payments/<id:payment_id>/cancel": NO_PAYMENT,
    "POST /api/v1/payments/<id:payment_id>/refunds": NO_PAYMENT,
    "GET /api/v1/payments/<id:payment_id>/refunds": NO_PAYMENT,
    "GET /api/v1/refunds/<id:refund_id>": NO_REFUND,
    "GET /api/v1/payment-methods/<id:method_id>": NO_METHOD,
    "PUT /api/v1/payment-methods/<id:method_id>/default": NO_METHOD,
    "DELETE /api/v1/payment-methods/<id:method_id>": NO_METHOD,
    "GET /api/v1/admin/payments/<id:payment_id>": STAFF_ONLY,
    "GET /api/v1/admin/payments/<id:payment_id>/audit": STAFF_ONLY,
    "POST /api/v1/admin/payments/<id:payment_id>/check": Case(
        PAYMENT, "forbidden", 403, body={"reason": "looking around"}
    ),
}
#: what answers with the caller's own
OWN = {
    "GET /api/v1/payments",
    "GET /api/v1/payment-methods",
    "GET /api/v1/transactions",
    "GET /api/v1/transactions/export",
}
#: what makes something of the caller's
MAKES = {"POST /api/v1/payments", "POST /api/v1/payment-methods"}
#: what belongs to no customer
OF_STAFF = {
    "GET /api/v1/admin/payments",
    "GET /api/v1/admin/ledger/balances",
    "GET /api/v1/admin/ledger/trial-balance",
    "GET /api/v1/admin/ledger/entries",
    "GET /api/v1/admin/ledger/verify",
}
#: signed by a provider; no customer's token is looked at
OF_PROVIDERS = {"POST /api/v1/webhooks/<provider>"}


@dataclass
class Customer:
    """:param ids: of a payment, a refund and a kept means of payment that are there"""

    client: Client
    ids: dict[str, str]


def _customer(stack: Stack) -> Customer:
    client = Client(stack.url).register()
    payment = client.pay(description="a secret of mine").json()
    refund = client.refund(payment["id"], amount=500)
    assert refund.status_code == 201, refund.text
    method = client.post("/payment-methods", {"provider": "sandbox", "token": "tok_visa"})
    assert method.status_code == 201, method.text
    return Customer(client, {PAYMENT: payment["id"], REFUND: refund.json()["id"], METHOD: method.json()["id"]})


@pytest.fixture(scope="module")
def people(running_stack: Stack) -> tuple[Customer, Customer]:
    """Ann, whose things are at stake, and Bob, who has such things of his own."""
    return _customer(running_stack), _customer(running_stack)


def _routes() -> Iterator[tuple[str, bool]]:
    """Give each route of payments, and whether an id stands in its path."""
    app = create_app(
        load_config(ROOT / "config.yaml", {}) | {"RATE_LIMITS": "off"}, FakeCluster(), counters="memory://"
    )
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] in AREAS:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield f"{method} {rule.rule}", "<id:" in rule.rule


def _send(client: Client, route: str, id: str, body: dict[str, Any]) -> requests.Response:
    method, _, rule = route.partition(" ")
    path = "/".join(id if part.startswith("<id:") else part for part in rule.removeprefix("/api/v1").split("/"))
    options = {} if method in ("GET", "DELETE", "PUT") else {"json": body}
    return client.request(method, path, headers={"Idempotency-Key": secrets.token_hex(8)}, **options)


def _told(response: requests.Response) -> tuple[int, dict[str, Any]]:
    return response.status_code, {name: each for name, each in response.json().items() if name != "request_id"}


def test_the_table_has_every_route() -> None:
    routes = dict(_routes())
    assert {route for route, by_id in routes.items() if by_id} == set(BY_ID)
    assert {route for route, by_id in routes.items() if not by_id} == OWN | MAKES | OF_STAFF | OF_PROVIDERS


@pytest.mark.parametrize("route", BY_ID)
def test_an_id_of_somebody_else_is_as_one_that_nobody_has(people: tuple[Customer, Customer], route: str) -> None:
    ann, bob = people
    case = BY_ID[route]
    theirs = _send(bob.client, route, ann.ids[case.of], case.body)
    assert (theirs.status_code, theirs.json()["code"]) == (case.status, case.code)
    assert "secret" not in theirs.text
    for unknown in (str(new_id()), "nonsense"):
        assert _told(_send(bob.client, route, unknown, case.body)) == _told(theirs)


@pytest.mark.parametrize("route", sorted(OWN))
def test_lists_hold_only_ones_own(people: tuple[Customer, Customer], route: str) -> None:
    ann, bob = people
    mine, theirs = (_send(each.client, route, "", {}).text for each in (ann, bob))
    assert any(id in mine for id in ann.ids.values())
    for text, other in ((mine, bob), (theirs, ann)):
        assert not any(id in text for id in (*other.ids.values(), other.client.user_id))


@pytest.mark.parametrize("route", sorted(OWN - {"GET /api/v1/transactions/export"}))
def test_a_cursor_of_somebody_else_is_refused(people: tuple[Customer, Customer], route: str) -> None:
    ann, bob = people
    ann.client.pay()
    ann.client.post("/payment-methods", {"provider": "sandbox", "token": "tok_3ds"})
    path = route.removeprefix("GET /api/v1")
    cursor = ann.client.get(path, params={"limit": 1}).json()["next_cursor"]
    answer = bob.client.get(path, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("route", sorted(OF_STAFF))
def test_what_is_the_staff_s_is_for_no_customer(people: tuple[Customer, Customer], route: str) -> None:
    answer = _send(people[1].client, route, "", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("how", ["pay", "confirm"])
def test_nobody_pays_with_what_somebody_else_keeps(people: tuple[Customer, Customer], how: str) -> None:
    ann, bob = people
    answers = []
    for method in (ann.ids[METHOD], str(new_id())):
        if how == "pay":
            answers.append(bob.client.pay(payment_method=method))
        else:
            route = "POST /api/v1/payments/<id:payment_id>/confirm"
            answers.append(_send(bob.client, route, _opened(bob.client), {"payment_method": method}))
    assert {(each.status_code, each.json()["code"]) for each in answers} == {(422, "unknown_payment_method")}


def _opened(client: Client) -> str:
    """Return a payment that nobody has paid yet."""
    body = {"amount": 500, "currency": "EUR"}
    answer = client.post("/payments", body, headers={"Idempotency-Key": secrets.token_hex(8)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_an_idempotency_key_is_of_one_customer(people: tuple[Customer, Customer]) -> None:
    ann, bob = people
    key = secrets.token_hex(8)
    mine, theirs = ann.client.pay(key=key), bob.client.pay(key=key)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]


def test_whoever_it_belongs_to_finds_it_unchanged(people: tuple[Customer, Customer]) -> None:
    """Last of these: the ids were good ones all the time, and nobody has changed what they stand for."""
    ann, _ = people
    payment = ann.client.get(f"/payments/{ann.ids[PAYMENT]}").json()
    assert (payment["status"], payment["amount_refunded"]) == ("succeeded", 500)
    assert ann.client.get(f"/refunds/{ann.ids[REFUND]}").json()["amount"] == 500
    assert ann.client.get(f"/payment-methods/{ann.ids[METHOD]}").json()["is_default"] is True
    for route, case in BY_ID.items():
        if case.status == 404 and not route.startswith("DELETE"):
            assert _send(ann.client, route, ann.ids[case.of], case.body).status_code != 404, route
    assert ann.client.request("DELETE", f"/payment-methods/{ann.ids[METHOD]}").status_code == 204

"""The books of the running product: sealed soon, on /metrics, and for the staff over HTTP."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from lib.database import Sessions, make_engine
from tests.conftest import ROOT
from tests.e2e.client import PASSWORD, Client, unique_email
from tests.integration.payments.ledger_books import BANK, ask, capture, post
from tests.support.waiting import eventually


@pytest.fixture
def sessions(migrated):
    """Sessions on the database of the running service, in its role."""
    engine = make_engine(migrated["PAYMENTS_DATABASE_URL"], statement_timeout=5, pool_size=5, application_name="tests")
    yield Sessions(engine)
    engine.dispose()


@pytest.fixture
def metrics(stack):
    """``metrics()`` → the samples about the books, by name and labels."""
    url = stack.health_url("payments_svc").replace("/api/v1/health", "/metrics")

    def metrics():
        families = text_string_to_metric_families(requests.get(url, timeout=5).text)
        samples = [each for family in families for each in family.samples]
        return {
            (each.name.removeprefix("payments_ledger_"), *sorted(each.labels.values())): each.value
            for each in samples
            if each.name.startswith("payments_ledger_")
        }

    return metrics


@pytest.fixture(scope="module")
def admin(running_stack):
    email = unique_email()
    subprocess.run(
        [sys.executable, "-m", "lib.cli", "auth_svc", "create-admin", email, "--password-stdin"],
        cwd=ROOT,
        env=running_stack.environment,
        input=PASSWORD,
        text=True,
        check=True,
        capture_output=True,
        timeout=60,
    )
    return Client(running_stack.url).login(email)


def test_what_is_posted_is_sealed_soon_and_on_the_metrics(stack, sessions, metrics):
    before = eventually(lambda: metrics() if ("entries",) in metrics() else None)
    post(sessions, capture(1000, "ISK"), capture(234, "ISK"))
    unsealed = "select count(*) from ledger_unsealed"
    eventually(lambda: ask(sessions, unsealed) == [(0,)], within=5)
    found = eventually(lambda: metrics() if metrics()["summed_entries",] >= before["entries",] + 4 else None)
    assert found["difference", "ISK"] == 0
    assert found["balance", "ISK", BANK] == -found["balance", "ISK", "sales"] >= 1234
    assert found["unsealed_entries",] == 0


def test_the_staff_reads_the_books_and_checks_them(stack, sessions, admin):
    posting = capture(77)
    post(sessions, posting)
    eventually(lambda: ask(sessions, "select count(*) from ledger_unsealed") == [(0,)])
    trial = admin.get("/admin/ledger/trial-balance").json()
    assert trial["balanced"] is True
    assert {"EUR"} <= {line["currency"] for line in trial["data"]}
    entries = admin.get("/admin/ledger/entries", params={"payment_id": str(posting.payment_id)}).json()["data"]
    assert [(each["account"], each["amount"]) for each in entries] == [("sales", -77), (BANK, 77)]
    check = admin.get("/admin/ledger/verify").json()
    while check["status"] == "unfinished":
        check = admin.get("/admin/ledger/verify", params={"cursor": check["next_cursor"]}).json()
    assert (check["status"], check["broken"]) == ("intact", None)
    assert re.fullmatch(r"[0-9]+:[0-9a-f]{64}", check["checked"])
    again = admin.get("/admin/ledger/verify", params={"expected": check["checked"]}).json()
    while again["status"] == "unfinished":
        again = admin.get(
            "/admin/ledger/verify", params={"expected": check["checked"], "cursor": again["next_cursor"]}
        ).json()
    assert again["status"] == "intact"


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("balances", {"at": "tomorrow"}, 422, "invalid_period"),
        ("balances", {"at": "2999-01-01"}, 422, "invalid_period"),
        ("entries", {"account": "sales"}, 422, "invalid_filter"),
        ("entries", {"account": "sales", "currency": "XXX"}, 422, "unsupported_currency"),
        ("entries", {"payment_id": "1"}, 422, "invalid_filter"),
        ("entries", {"cursor": "abc"}, 400, "invalid_cursor"),
        ("verify", {"cursor": "abc"}, 400, "invalid_cursor"),
        ("verify", {"expected": "abc"}, 422, "invalid_head"),
    ],
)
def test_what_is_no_question_is_refused(stack, admin, path, query, status, code):
    answer = admin.get(f"/admin/ledger/{path}", params=query)
    assert (answer.status_code, json.loads(answer.text)["code"]) == (status, code)


def test_a_customer_may_not_look(stack):
    customer = Client(stack.url).register()
    for path in ("balances", "trial-balance", "entries", "verify"):
        assert customer.get(f"/admin/ledger/{path}").status_code == 403

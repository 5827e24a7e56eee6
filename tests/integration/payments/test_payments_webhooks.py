"""Webhooks through the whole product: the sandbox's own, by HTTP, and those of anybody who tries."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
import sqlalchemy as sa
import stripe

from lib.ids import new_id, utc_now
from payments_svc.infrastructure import signatures
from payments_svc.infrastructure.sandbox_settings import DEVELOPMENT_SECRET
from tests.e2e.client import Client
from tests.support.databases import ROOT
from tests.support.stack import Stack
from tests.support.waiting import eventually, stays

Ask = Callable[..., list[tuple[Any, ...]]]
NEXT_SECRET = "whsec_" + "n" * 32


@pytest.fixture
def ask(database: Any) -> Iterator[Ask]:
    with database("payments") as connection:

        def ask(query: str, **values: Any) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in connection.execute(sa.text(query), values)]

        yield ask


@pytest.fixture
def payer(stack: Stack) -> Client:
    return Client(stack.url).register(name="Wanda Webhook")


def message(type: str = "payment.succeeded", *, id: str | None = None, **data: Any) -> bytes:
    id = id or f"evt_{secrets.token_hex(12)}"
    return json.dumps({"id": id, "type": type, "created": int(time.time()), "data": data}).encode()


def id_of(body: bytes) -> str:
    return str(json.loads(body)["id"])


def send(stack: Stack, body: bytes, signature: str | None = None, *, path: str = "sandbox") -> requests.Response:
    signature = signatures.sign(body, [DEVELOPMENT_SECRET], utc_now()) if signature is None else signature
    headers = {"Content-Type": "application/json", **({"Sandbox-Signature": signature} if signature else {})}
    return requests.post(f"{stack.url}/api/v1/webhooks/{path}", data=body, headers=headers, timeout=20)


def stored(ask: Ask, event_id: str) -> tuple[Any, ...] | None:
    found = ask("select status, error, attempts from webhook_notices where event_id = :id", id=event_id)
    return found[0] if found else None


def status_of(client: Client, payment_id: str) -> str:
    return str(client.get(f"/payments/{payment_id}").json()["status"])


def run(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lib.cli", "payments_svc", *arguments],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# --- the sandbox's own ---


@pytest.mark.parametrize("token, end", [("tok_async", "succeeded"), ("tok_async_fail", "requires_payment_method")])
def test_a_slow_charge_is_settled_by_a_real_webhook_within_seconds(
    stack: Stack, payer: Client, ask: Ask, token: str, end: str
) -> None:
    payment = payer.pay(payment_method=token).json()
    assert payment["status"] == "processing"
    # Not by our asking: the next question is minutes away.
    assert payment["next_check_at"] > (utc_now() + timedelta(minutes=1)).isoformat()
    settled = "select status from payments where id = :id and status <> 'processing'"
    assert eventually(lambda: ask(settled, id=payment["id"])) == [(end,)]
    assert status_of(payer, payment["id"]) == end
    told = "select type, status from webhook_notices where payment_id = :id order by received_at"
    types = {"succeeded": "payment.succeeded"}.get(end, "payment.failed")
    eventually(lambda: (types, "processed") in ask(told, id=payment["id"]))
    by = "select distinct actor_kind from audit_entries where payment_id = :id and after = :end"
    assert ask(by, id=payment["id"], end=end) == [("provider",)]


def test_what_was_answered_at_once_is_told_too_and_changes_nothing(payer: Client, ask: Ask) -> None:
    payment = payer.pay().json()
    assert payment["status"] == "succeeded"
    told = "select type, status from webhook_notices where payment_id = :id"
    eventually(lambda: ask(told, id=payment["id"]) == [("payment.succeeded", "processed")])
    assert payer.get(f"/payments/{payment['id']}").json() == payment


@pytest.mark.parametrize(
    "token, before, end", [("tok_refund_pending", "pending", "succeeded"), ("tok_refund_fail", "succeeded", "failed")]
)
def test_refunds_that_take_their_time_are_settled_by_webhooks(payer: Client, token: str, before: str, end: str) -> None:
    payment = payer.pay(payment_method=token).json()
    refund = payer.refund(payment["id"], amount=500).json()
    assert refund["status"] == before
    eventually(lambda: payer.get(f"/refunds/{refund['id']}").json()["status"] == end)
    left = payer.get(f"/payments/{payment['id']}").json()["amount_refunded"]
    assert left == (500 if end == "succeeded" else 0)


# --- anybody's ---


@pytest.mark.parametrize(
    "forge",
    [
        lambda body: "",
        lambda body: "t=1,v1=" + "0" * 64,
        lambda body: signatures.sign(body, ["another secret"], utc_now()),
        lambda body: signatures.sign(body + b" ", [DEVELOPMENT_SECRET], utc_now()),
        lambda body: signatures.sign(body, [DEVELOPMENT_SECRET], utc_now() - timedelta(minutes=6)),
        lambda body: signatures.sign(body, [DEVELOPMENT_SECRET], utc_now() + timedelta(minutes=6)),
        lambda body: "t=\u00e9",
        lambda body: "v1=" + "x" * 5000,
    ],
    ids=["missing", "wrong", "another secret", "another body", "old", "from the future", "no ASCII", "huge"],
)
def test_what_is_not_proved_is_refused_and_leaves_nothing(stack: Stack, ask: Ask, forge: Any) -> None:
    body = message(attempt_id=str(new_id()))
    before = ask("select count(*) from webhook_notices where type <> 'payment.succeeded' or payment_id is null")
    signature = forge(body)
    answer = send(stack, body, signature.encode().decode("latin-1") if not signature.isascii() else signature)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    assert stored(ask, id_of(body)) is None
    after = "select count(*) from webhook_notices where type <> 'payment.succeeded' or payment_id is null"
    assert ask(after) == before


def test_stripes_own_package_signs_what_we_take(stack: Stack, ask: Ask) -> None:
    body = message("payout.paid")
    signature = stripe.WebhookSignature.generate_signature_header(body.decode(), DEVELOPMENT_SECRET)
    assert send(stack, body, signature).status_code == 204
    assert stored(ask, id_of(body)) is not None


@pytest.mark.parametrize("name", ["nobody", "stripe", "Sandbox", "sandbox%00"])
def test_a_provider_that_is_none_is_not_found(stack: Stack, name: str) -> None:
    answer = send(stack, message(), path=name)
    assert (answer.status_code, answer.json()["code"]) == (404, "provider_not_found")


def test_ten_copies_at_once_are_all_taken_and_one_is_kept(stack: Stack, payer: Client, ask: Ask) -> None:
    payment = payer.pay(payment_method="tok_async").json()
    ((attempt_id,),) = ask("select attempt_id::text from payments where id = :id", id=payment["id"])
    body = message(attempt_id=attempt_id, payment_id=payment["id"])
    with ThreadPoolExecutor(10) as pool:
        assert [each.status_code for each in pool.map(lambda _: send(stack, body), range(10))] == [204] * 10
    assert ask("select count(*) from webhook_notices where event_id = :id", id=id_of(body)) == [(1,)]
    eventually(lambda: stored(ask, id_of(body)) == ("processed", None, 1))
    eventually(lambda: status_of(payer, payment["id"]) == "succeeded")
    told = "select count(*) from outbox where type = 'payment.succeeded' and envelope->>'subject' = :id"
    stays(lambda: ask(told, id=payment["id"]) == [(1,)], during=0.5)


def test_a_proved_lie_changes_nothing(stack: Stack, payer: Client, ask: Ask) -> None:
    """Even who knows the secret can only make us look."""
    payment = payer.pay(payment_method="tok_declined")
    payment_id = payment.json()["payment_id"]
    body = message(payment_id=payment_id, amount_captured=10**9)
    assert send(stack, body).status_code == 204
    eventually(lambda: stored(ask, id_of(body)) == ("processed", None, 1))
    assert status_of(payer, payment_id) == "requires_payment_method"
    assert ask("select count(*) from ledger_entries where payment_id = :id", id=payment_id) == [(0,)]


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[1]", b"\xff\xfe\0"])
def test_what_is_proved_and_unreadable_is_taken_and_put_aside(stack: Stack, ask: Ask, body: bytes) -> None:
    body += secrets.token_hex(8).encode()
    assert [send(stack, body).status_code for _ in range(2)] == [204, 204]
    parked = "select status, error from webhook_notices where type = 'unreadable' and payload->>'text' like :text"
    assert ask(parked, text=f"%{body[-16:].decode()}") == [("parked", "unreadable")]


def test_card_numbers_are_redacted_and_not_refused(stack: Stack, ask: Ask) -> None:
    body = message("payout.paid", card="4242 4242 4242 4242")
    assert send(stack, body).status_code == 204
    ((payload,),) = ask("select payload::text from webhook_notices where event_id = :id", id=id_of(body))
    assert "4242 4242" not in payload
    assert "4242 4242" not in stack.logs()


# --- parked, and replayed by command ---


def test_an_unknown_type_is_parked_and_replayed_by_command(stack: Stack, ask: Ask) -> None:
    type = f"payout.{secrets.token_hex(4)}"
    bodies = [message(type), message(type)]
    for body in bodies:
        assert send(stack, body).status_code == 204
    for body in bodies:
        eventually(lambda body=body: stored(ask, id_of(body)) == ("parked", "unknown_type", 1))
    listed = [json.loads(line) for line in run(stack, "webhooks", "--type", type).stdout.splitlines()]
    assert [each["event_id"] for each in listed] == [id_of(each) for each in reversed(bodies)]
    assert {each["status"] for each in listed} == {"parked"}
    assert "payload" not in listed[0]
    replayed = run(stack, "replay-webhooks", "--type", type)
    assert (replayed.returncode, json.loads(replayed.stdout)) == (0, {"replayed": 2})
    for body in bodies:
        eventually(lambda body=body: stored(ask, id_of(body)) == ("parked", "unknown_type", 2))


def test_a_message_of_what_we_did_not_know_is_processed_when_we_do(
    stack: Stack, payer: Client, ask: Ask, database: Any
) -> None:
    payment = payer.pay(payment_method="tok_3ds").json()
    move = "update payments set provider = :provider where id = :id"
    with database("payments") as connection:
        connection.execute(sa.text(move), {"provider": "elsewhere", "id": payment["id"]})
    body = message(payment_id=payment["id"])
    send(stack, body)
    eventually(lambda: stored(ask, id_of(body)) == ("parked", "unknown_object", 1))
    with database("payments") as connection:
        connection.execute(sa.text(move), {"provider": "sandbox", "id": payment["id"]})
    ((id,),) = ask("select id::text from webhook_notices where event_id = :id", id=id_of(body))
    assert json.loads(run(stack, "replay-webhooks", "--id", id).stdout) == {"replayed": 1}
    eventually(lambda: stored(ask, id_of(body)) == ("processed", None, 2))


# --- what dies on the way ---


@pytest.mark.faults
@pytest.mark.parametrize(
    "point", ["rpc.before_reply.receive_webhook", "relay.before_publish", "webhook.before_process"]
)
def test_killed_after_it_was_stored_it_is_processed_after_the_restart(
    stack: Stack, payer: Client, ask: Ask, point: str
) -> None:
    payment = payer.pay(payment_method="tok_3ds").json()
    told = "select count(*) from webhook_notices where payment_id = :id and status = 'processed'"
    eventually(lambda: ask(told, id=payment["id"]) == [(1,)])
    eventually(lambda: not ask("select 1 from outbox where sent_at is null"))
    body = message(attempt_id=None, payment_id=payment["id"])
    stack.stop(["payments_svc"])
    stack.start("payments_svc", FAULT_POINT=point)
    stack.wait_healthy("gateway")
    answer = send(stack, body)
    assert stack.wait_end("payments_svc") == -9
    # The provider sends again what it has no receipt for.
    assert answer.status_code in (204, 503, 504)
    assert stored(ask, id_of(body)) is not None
    assert stored(ask, id_of(body)) != ("processed", None, 1)

    stack.start("payments_svc")
    eventually(lambda: (stored(ask, id_of(body)) or ("",))[0] == "processed", within=20)
    stack.wait_healthy("gateway")
    assert send(stack, body).status_code == 204
    assert ask("select count(*) from webhook_notices where event_id = :id", id=id_of(body)) == [(1,)]


@pytest.mark.faults
def test_the_sandbox_keeps_its_messages_while_nobody_takes_them_and_secrets_change(
    stack: Stack, payer: Client, ask: Ask
) -> None:
    """The service signs with the next secret already, and takes both."""
    stack.stop(["payments_svc"])
    stack.start("payments_svc", SANDBOX_WEBHOOK_SECRET=f"{NEXT_SECRET},{DEVELOPMENT_SECRET}")
    stack.wait_healthy("gateway")
    payment = payer.pay(payment_method="tok_async").json()
    stack.kill("gateway")
    unsent = "select tries, error from sandbox_messages where body like :id and sent_at is null and error is not null"
    eventually(lambda: ask(unsent, id=f"%{payment['id']}%"))
    # The service itself is well: only its messages wait.
    assert ask("select status from payments where id = :id", id=payment["id"]) == [("processing",)]
    stack.start("gateway")
    eventually(
        lambda: ask("select status from payments where id = :id", id=payment["id"]) == [("succeeded",)], within=20
    )
    for secret in (DEVELOPMENT_SECRET, NEXT_SECRET):
        body = message("payout.paid")
        assert send(stack, body, signatures.sign(body, [secret], utc_now())).status_code == 204
    stack.stop(["payments_svc"])

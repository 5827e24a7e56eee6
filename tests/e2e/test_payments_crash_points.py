"""kill -9 of payments_svc at every point of every operation; nobody helps, and everything happened once.

One process after the other dies at its own point, each time in another operation than the one before. So the processes
that are armed for the next deaths are those that find what the last ones have left: their own points are not on that
way. Requests that nobody has answered are taken out of the queue and the sandbox sends no messages, so that it is our
own recovery that is seen at work, and neither the broker's redelivery nor somebody else's hint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from lib.wire import connect
from tests.e2e.paying import Books, Payer
from tests.support import databases
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

#: a request's process is taken for dead PROVIDER_TIMEOUT and two seconds after its claim
HASTY = {
    "PROVIDER_TIMEOUT": "0.5",
    "UNKNOWN_CHECK_SCHEDULE": "1s",
    "SANDBOX_LATENCY_MS": "20",
    "SANDBOX_WEBHOOK_URL": "off",
}
POINTS = ("after_claim", "before_send", "after_send", "before_commit", "before_reply")
AMOUNT, PART = 1000, 400


@dataclass(frozen=True)
class Operation:
    """What can be asked of a provider, and what has to be there once it happened.

    :param word: as fault points have it
    :param ask: makes the request with its key
    """

    name: str
    word: str
    ask: Callable[[Payer, str], requests.Response]
    status: str
    charged: tuple[str, int]
    postings: dict[str, list[int]]
    event: str
    good: int = 200

    @property
    def method(self) -> str:
        return "confirm_payment" if self.name == "authenticate" else f"{self.name}_payment"


CREATE = Operation(
    "create",
    "charge",
    lambda payer, _: payer.pay(AMOUNT, key="the-key"),
    "succeeded",
    ("succeeded", AMOUNT),
    {"capture": [AMOUNT]},
    "payment.succeeded",
    201,
)
CAPTURE = Operation(
    "capture",
    "capture",
    lambda payer, payment_id: payer.change(payment_id, "capture", key="the-key", amount=PART),
    "succeeded",
    ("succeeded", PART),
    {"capture": [PART]},
    "payment.succeeded",
)
CANCEL = Operation(
    "cancel",
    "cancel",
    lambda payer, payment_id: payer.change(payment_id, "cancel", key="the-key"),
    "canceled",
    ("voided", 0),
    {},
    "payment.canceled",
)
REFUND = Operation(
    "refund",
    "refund",
    lambda payer, payment_id: payer.refund(payment_id, key="the-key", amount=PART),
    "succeeded",
    ("succeeded", AMOUNT),
    {"capture": [AMOUNT], "refund": [PART], "refund_settlement": [PART]},
    "payment.refunded",
    201,
)
CONFIRM = Operation(
    "confirm",
    "charge",
    lambda payer, payment_id: payer.change(payment_id, "confirm", key="the-key"),
    "succeeded",
    ("succeeded", AMOUNT),
    {"capture": [AMOUNT]},
    "payment.succeeded",
)
AUTHENTICATE = Operation(
    "authenticate",
    "authenticate",
    lambda payer, payment_id: payer.change(payment_id, "confirm", key="the-key", authentication="succeed"),
    "succeeded",
    ("succeeded", AMOUNT),
    {"capture": [AMOUNT]},
    "payment.succeeded",
)
#: those that have a word in common are as far apart as can be
OPERATIONS = (CREATE, CAPTURE, CANCEL, CONFIRM, REFUND, AUTHENTICATE)


@dataclass
class Wreck:
    """One death: where, of what, whose."""

    point: str
    operation: Operation
    payer: Payer
    payment_id: str = ""
    code: int | None = None
    asking: list[threading.Thread] = field(default_factory=list)

    @property
    def fault(self) -> str:
        match self.point:
            case "before_publish":
                return "relay.before_publish"
            case "before_reply":
                return f"rpc.before_reply.{self.operation.method}"
        return f"payment.{self.point}.{self.operation.word}"

    def prepare(self) -> None:
        match self.operation.name:
            case "capture" | "cancel":
                self.payment_id = self.payer.authorized(AMOUNT)
            case "refund":
                self.payment_id = self.payer.paid(AMOUNT)["id"]
            case "confirm":
                self.payment_id = self.payer.paid(AMOUNT, confirm=False)["id"]
            case "authenticate":
                self.payment_id = self.payer.paid(AMOUNT, payment_method="tok_3ds")["id"]

    def ask(self) -> None:
        """Send the request and do not wait for its answer: there will be none."""
        thread = threading.Thread(target=self.operation.ask, args=(self.payer, self.payment_id), daemon=True)
        thread.start()
        self.asking.append(thread)


class Scene:
    """The product, whose payments_svc dies again and again."""

    def __init__(self, stack: Stack, superuser: str) -> None:
        self.stack = stack
        self._engine = databases.admin(databases.on_database(superuser, "payments"))

    def database(self, name: str) -> Any:
        assert name == "payments"
        return self._engine.connect()

    def ask(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with self._engine.connect() as connection:
            return [tuple(each) for each in connection.exec_driver_sql(statement, values)]

    def unsent(self) -> int:
        ((count,),) = self.ask("select count(*) from outbox where sent_at is null")
        return int(count)

    def quiet(self) -> bool:
        """Tell whether nothing is left to be told, by us or by the sandbox."""
        return not self.unsent() and not self.ask("select 1 from sandbox_messages where next_try_at is not null")

    def forget_requests(self) -> None:
        """Take the requests that nobody has answered out of the queue."""
        with connect(self.stack.environment["AMQP_URI"], name="test", heartbeat=10) as connection:
            connection.channel().queue_purge("rpc-payments_svc")

    def find(self, wreck: Wreck) -> str:
        """Return the payment's id: of one that was being created, the customer's only one."""
        if not wreck.payment_id:
            ((id,),) = self.ask("select id::text from payments where customer_id = %(id)s", id=wreck.payer.user_id)
            wreck.payment_id = id
        return wreck.payment_id

    def is_whole(self, wreck: Wreck) -> bool:
        books = Books(self.database, self.find(wreck))
        refunds = [("succeeded", PART)] if wreck.operation is REFUND else []
        return (
            books.status() == (wreck.operation.status, None)
            and books.refunds() == refunds
            and books.postings() == wreck.operation.postings
            and wreck.operation.event in books.events(sent=True)
        )

    def crash(self, wreck: Wreck, earlier: list[Wreck]) -> None:
        """Have the process die of `wreck`.

        :param earlier: who died before. All but the last have to be mended by then: whoever comes next may be armed for
            the same operation
        """
        before = earlier[-2] if len(earlier) > 1 else None
        if wreck.point == "before_publish" and earlier:
            # What the last process has left is mended and told by one that does not die of it.
            self.stack.start("payments_svc", **HASTY)
            eventually(lambda: self.is_whole(earlier[-1]) and not self.unsent(), within=20)
            self.stack.stop(["payments_svc"])
        self.stack.start("payments_svc", FAULT_POINT=wreck.fault, **HASTY)
        eventually(lambda: not self.unsent(), within=20)
        if before is not None:
            eventually(lambda: self.is_whole(before), within=20, every=0.1)
        self.stack.wait_healthy("gateway")
        wreck.ask()
        wreck.code = self.stack.wait_end("payments_svc")
        self.forget_requests()


@pytest.fixture(scope="module")
def wrecks(running_stack: Stack, migrated: dict[str, str]) -> Iterator[dict[tuple[str, str], Wreck]]:
    """Everything that died, once a process without any fault is there again."""
    scene = Scene(running_stack, migrated["POSTGRES_SUPERUSER_URL"])
    order = [
        Wreck(point, operation, Payer(running_stack.url))
        for point in ("before_publish", *POINTS)
        for operation in OPERATIONS
    ]
    for wreck in order:
        wreck.payer.register(name="Willy Wreck")
        wreck.prepare()
    eventually(scene.quiet)
    running_stack.stop(["payments_svc"])
    try:
        for number, wreck in enumerate(order):
            scene.crash(wreck, order[:number])
        running_stack.start("payments_svc", **HASTY)
        running_stack.wait_healthy("gateway")
        yield {(each.point, each.operation.name): each for each in order}
    finally:
        running_stack.stop(["payments_svc"])
        running_stack.start("payments_svc")
        running_stack.wait_healthy("gateway")


@pytest.fixture
def scene(running_stack: Stack, migrated: dict[str, str]) -> Scene:
    return Scene(running_stack, migrated["POSTGRES_SUPERUSER_URL"])


@pytest.mark.parametrize("operation", [each.name for each in OPERATIONS])
@pytest.mark.parametrize("point", [*POINTS, "before_publish"])
def test_killed_there_it_happened_once_and_the_client_gets_that_answer(
    wrecks: dict[tuple[str, str], Wreck], scene: Scene, point: str, operation: str
) -> None:
    wreck = wrecks[point, operation]
    assert wreck.code == -9
    eventually(lambda: scene.is_whole(wreck), within=20, every=0.1)

    books = Books(scene.database, wreck.payment_id)
    written = books.charges(), books.given_back(), books.postings(), books.events()
    assert books.charges() == [wreck.operation.charged]
    assert books.given_back() == ([("succeeded", PART)] if wreck.operation is REFUND else [])
    assert books.balanced()
    assert books.events().count(wreck.operation.event) == 1

    answer = wreck.operation.ask(wreck.payer, wreck.payment_id)
    assert answer.status_code == wreck.operation.good, answer.text
    assert answer.headers["Idempotent-Replayed"] == "true"
    told = answer.json()
    assert told["payment_id" if wreck.operation is REFUND else "id"] == wreck.payment_id
    assert told["status"] == wreck.operation.status
    assert (books.charges(), books.given_back(), books.postings(), books.events()) == written

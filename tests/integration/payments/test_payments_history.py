"""The past on PostgreSQL: pages, periods, whose it is, what the staff finds, and what a page costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from lib.ids import EPOCH, new_id
from payments_svc.application.check_now import check_now
from payments_svc.application.find_payments import InvalidFilter, find_payments
from payments_svc.application.history_ports import ActorKind, By, PaymentFilter, Period
from payments_svc.application.inspect_payment import inspect_payment, list_payment_trail
from payments_svc.application.list_transactions import MAX_EXPORTED, list_transactions
from payments_svc.application.pages import InvalidCursor, InvalidLimit
from payments_svc.application.ports import Ports
from payments_svc.bootstrap import build_ports
from payments_svc.domain.arguments import InvalidUserId
from payments_svc.domain.payment_errors import PaymentNotFound
from payments_svc.domain.payment_status import PaymentStatus
from payments_svc.domain.period import InvalidPeriod
from payments_svc.infrastructure.sql_history import TRANSACTIONS, bounds, found_by
from tests.integration.payments.test_payments_races import CONFIG, pay, refund
from tests.support import databases
from tests.support.seeded_history import BEGAN, seed

MANY, FEW = 12_000, 25
START = EPOCH + timedelta(milliseconds=BEGAN)


@pytest.fixture
def ports(payments_sessions: Any) -> Ports:
    return build_ports(CONFIG, payments_sessions)


def seeded(sessions: Any, **numbers: int) -> dict[str, UUID]:
    """Fill the books of some customers; return who they are."""
    people = {name: new_id() for name in numbers}
    with sessions() as session:
        for name, number in numbers.items():
            seed(session.connection(), people[name], number)
        session.commit()
        session.execute(sa.text("ANALYZE ledger_entries")) if False else None
    return people


def everything(ports: Ports, customer_id: UUID, **more: Any) -> list[dict[str, Any]]:
    """Go through all pages."""
    found, cursor = [], None
    while True:
        page = list_transactions(ports, user_id=str(customer_id), cursor=cursor, **more)
        found += page.data
        cursor = page.next_cursor
        if cursor is None:
            return found


# --- a customer's transactions ---


def test_what_was_paid_and_what_went_back(ports: Ports) -> None:
    answer = pay(ports, amount=1050, description="Two books", reference="order-17").body
    back = refund(ports, answer["id"], amount=550).body
    later, earlier = everything(ports, UUID(answer["customer_id"]))
    assert (earlier["type"], earlier["amount"], earlier["amount_decimal"]) == ("payment", 1050, "10.50")
    assert (later["type"], later["amount"], later["amount_decimal"]) == ("refund", -550, "-5.50")
    for row in (later, earlier):
        assert str(row["payment_id"]) == answer["id"]
        assert (row["description"], row["reference"]) == ("Two books", "order-17")
    assert (str(later["refund_id"]), earlier["refund_id"]) == (back["id"], None)


def test_nobody_sees_what_is_somebody_elses(ports: Ports, payments_sessions: Any) -> None:
    people = seeded(payments_sessions, ann=7, bob=5)
    assert {row["id"] for row in everything(ports, people["ann"])}.isdisjoint(
        row["id"] for row in everything(ports, people["bob"])
    )
    assert len(everything(ports, people["ann"])) == 7
    assert everything(ports, new_id()) == []
    cursor = list_transactions(ports, user_id=str(people["ann"]), limit=2).next_cursor
    with pytest.raises(InvalidCursor):
        list_transactions(ports, user_id=str(people["bob"]), limit=2, cursor=cursor)


@pytest.mark.parametrize("limit", [1, 7, 20, 25, 100])
def test_pages_give_each_transaction_once(ports: Ports, payments_sessions: Any, limit: int) -> None:
    people = seeded(payments_sessions, ann=FEW)
    found = everything(ports, people["ann"], limit=limit)
    assert len(found) == len({row["id"] for row in found}) == FEW
    assert [row["id"] for row in found] == sorted((row["id"] for row in found), reverse=True)


def test_what_comes_meanwhile_shifts_no_page(ports: Ports, payments_sessions: Any) -> None:
    people = seeded(payments_sessions, ann=10)
    first = list_transactions(ports, user_id=str(people["ann"]), limit=5)
    with payments_sessions() as session:
        seed(session.connection(), people["ann"], 3, first=11)
        session.commit()
    second = list_transactions(ports, user_id=str(people["ann"]), limit=5, cursor=first.next_cursor)
    assert len({row["id"] for row in first.data + second.data}) == 10
    assert second.next_cursor is None


@pytest.mark.parametrize(
    ("since", "until", "numbers"),
    [
        (5, None, range(5, 26)),
        (None, 5, range(1, 5)),
        (5, 8, range(5, 8)),
        (8, 5, range(0)),
        (26, None, range(0)),
        (-1000, 1000, range(1, 26)),
    ],
)
def test_a_period_has_its_beginning_and_not_its_end(
    ports: Ports, payments_sessions: Any, since: int | None, until: int | None, numbers: range
) -> None:
    people = seeded(payments_sessions, ann=FEW)
    period = {
        name: (START + timedelta(seconds=seconds)).isoformat()
        for name, seconds in (("since", since), ("until", until))
        if seconds is not None
    }
    found = everything(ports, people["ann"], limit=3, **period)
    assert [row["posted_at"] for row in reversed(found)] == [START + timedelta(seconds=number) for number in numbers]


def test_a_cursor_belongs_to_its_period(ports: Ports, payments_sessions: Any) -> None:
    people = seeded(payments_sessions, ann=10)
    cursor = list_transactions(ports, user_id=str(people["ann"]), limit=2, since="2026-01-01").next_cursor
    with pytest.raises(InvalidCursor):
        list_transactions(ports, user_id=str(people["ann"]), limit=2, since="2025-01-01", cursor=cursor)


@pytest.mark.parametrize(
    "moment",
    ["yesterday", "", "2026-13-01", "2026-02-30", "2026-01-31T25:00:00Z", "2026-01-31T12:00:00", "20260131", 5],
)
def test_what_is_no_time(ports: Ports, moment: Any) -> None:
    for name in ("since", "until"):
        with pytest.raises(InvalidPeriod):
            list_transactions(ports, user_id=str(new_id()), **{name: moment})


@pytest.mark.parametrize(
    "moment",
    ["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+05:30", "0001-01-01", "9999-12-31T23:59:59Z"],
)
def test_times_that_are_taken(ports: Ports, moment: str) -> None:
    assert list_transactions(ports, user_id=str(new_id()), since=moment, until=moment).data == []


def test_limits(ports: Ports) -> None:
    for limit in (0, -1, 101, True, "5"):
        with pytest.raises(InvalidLimit):
            list_transactions(ports, user_id=str(new_id()), limit=limit)
    assert list_transactions(ports, user_id=str(new_id()), limit=MAX_EXPORTED, most=MAX_EXPORTED).data == []
    with pytest.raises(InvalidUserId):
        list_transactions(ports, user_id="me")


# --- what a page costs ---


def rows_read(session: Any, statement: Any, values: dict[str, Any]) -> tuple[int, set[str]]:
    """Run a statement; return how many rows its scans have looked at, and how they scanned."""
    compiled = statement.compile(dialect=session.get_bind().dialect)
    text = sa.text(f"EXPLAIN (ANALYZE, FORMAT JSON) {_with_names(compiled)}")
    found = session.execute(text.bindparams(*_typed(compiled, values))).scalar_one()
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    read, scans = 0, set()

    def walk(node: dict[str, Any]) -> None:
        nonlocal read
        if "Scan" in node["Node Type"] and node["Node Type"] != "Subquery Scan":
            removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            read += (node["Actual Rows"] + removed) * node["Actual Loops"]
            scans.add(f"{node['Node Type']} {node.get('Relation Name', '')} {node.get('Index Name', '')}")
        for child in node.get("Plans", ()):
            walk(child)

    walk(plan)
    return int(read), scans


def _with_names(compiled: Any) -> str:
    text = str(compiled)
    for name in compiled.params:
        text = text.replace(f"%({name})s", f"(:{name})")
    return text


def _typed(compiled: Any, values: dict[str, Any]) -> list[Any]:
    return [
        sa.bindparam(name, {**compiled.params, **values}[name], type_=compiled.binds[name].type)
        for name in compiled.params
    ]


PERIODS = {
    "all of it": Period(),
    "from late on": Period(since=START + timedelta(seconds=MANY - 5)),
    "up to early": Period(until=START + timedelta(seconds=50)),
    "in the middle": Period(START + timedelta(seconds=MANY // 2), START + timedelta(seconds=MANY // 2 + 1000)),
    "nothing in it": Period(START + timedelta(days=900), START + timedelta(days=901)),
}


@pytest.fixture
def long_history(payments_sessions: Any) -> Any:
    people = seeded(payments_sessions, ann=MANY, bob=500)
    return payments_sessions, people["ann"]


@pytest.fixture
def settled(migrated: dict[str, str]) -> Callable[[str], None]:
    """Return a function that has PostgreSQL look at what is in a table."""

    def vacuum(table: str) -> None:
        admin = databases.admin(databases.on_database(migrated["POSTGRES_SUPERUSER_URL"], "payments_sql"))
        with admin.connect() as connection:
            connection.execute(sa.text(f"VACUUM ANALYZE {table}"))
        admin.dispose()

    return vacuum


def test_a_page_reads_a_page(long_history: Any, settled: Callable[[str], None]) -> None:
    """Whatever the period is, and wherever in it the page is."""
    sessions, ann = long_history
    settled("ledger_entries")
    with sessions() as session:
        middle = UUID(int=(BEGAN + MANY // 2 * 1000) << 80)
        for name, period in PERIODS.items():
            for before in (None, middle):
                values = {"customer_id": ann, "most": 21, **bounds(period, before)}
                read, scans = rows_read(session, TRANSACTIONS, values)
                # The bounds by id are ten seconds wider than the period: as many rows as are seeded in that time. And
                # for one whose payments are most of all, PostgreSQL may take the entries as they come, the others'
                # and the other sides too.
                assert read <= 3 * (21 + 10 + 1), f"{name}: {read} rows by {scans}"
                assert "Seq Scan ledger_entries " not in scans, name


# --- what the staff sees ---


def test_the_staff_finds_payments(ports: Ports) -> None:
    mine = pay(ports, reference="order-17").body
    others = pay(ports, user_id=str(new_id()), reference="order-17").body
    declined = pay(ports, user_id=str(new_id()), payment_method=None).body
    found = find_payments(ports).data
    assert [str(row["id"]) for row in found] == [each["id"] for each in (declined, others, mine)]
    by_customer = find_payments(ports, customer_id=mine["customer_id"]).data
    assert [str(row["id"]) for row in by_customer] == [mine["id"]]
    by_reference = find_payments(ports, customer_id=others["customer_id"], reference="order-17").data
    assert [str(row["id"]) for row in by_reference] == [others["id"]]
    by_status = find_payments(ports, status="requires_payment_method").data
    assert [str(row["id"]) for row in by_status] == [declined["id"]]
    assert find_payments(ports, status="succeeded", until="2020-01-01").data == []
    assert len(find_payments(ports, since="2020-01-01", limit=2).data) == 2


@pytest.mark.parametrize(
    ("filter", "error"),
    [
        ({"status": "paid"}, InvalidFilter),
        ({"status": ""}, InvalidFilter),
        ({"reference": "order-17"}, InvalidFilter),
        ({"customer_id": "me"}, InvalidUserId),
        ({"since": "yesterday"}, InvalidPeriod),
    ],
)
def test_a_filter_that_makes_no_sense(ports: Ports, filter: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        find_payments(ports, **filter)


def test_a_cursor_belongs_to_its_filter(ports: Ports) -> None:
    for _ in range(3):
        pay(ports, user_id=str(new_id()))
    cursor = find_payments(ports, limit=1, status="succeeded").next_cursor
    assert len(find_payments(ports, limit=5, status="succeeded", cursor=cursor).data) == 2
    with pytest.raises(InvalidCursor):
        find_payments(ports, limit=1, cursor=cursor)


def test_the_statement_has_what_the_filter_has() -> None:
    everything = PaymentFilter(new_id(), PaymentStatus.SUCCEEDED, "order-17")
    text = str(found_by(everything))
    assert all(f"payments.{name} = :{name}" in text for name in ("customer_id", "status", "reference"))
    assert "payments.status" not in str(found_by(PaymentFilter())).partition("WHERE")[2]


def test_a_look_is_in_the_trail(ports: Ports) -> None:
    payment_id = pay(ports).body["id"]
    refund(ports, payment_id, amount=400)
    officer = By(ActorKind.STAFF, new_id(), "the customer asked")
    seen = inspect_payment(ports, payment_id=payment_id, by=officer)
    assert [row["amount"] for row in seen["refunds"]] == [400]
    newest, *before = list_payment_trail(ports, payment_id=payment_id, limit=100).data
    assert (newest["action"], newest["actor_kind"], newest["actor_id"]) == ("payment.inspected", "staff", officer.id)
    assert newest["reason"] == "the customer asked"
    actions = [row["action"] for row in reversed(before)]
    assert actions[0] == "payment.created"
    assert actions.index("charge.requested") < actions.index("charge.succeeded") < actions.index("refund.requested")
    assert "refund.succeeded" in actions


def test_the_trail_in_pages(ports: Ports) -> None:
    payment_id = pay(ports).body["id"]
    whole = list_payment_trail(ports, payment_id=payment_id, limit=100).data
    first = list_payment_trail(ports, payment_id=payment_id, limit=1)
    rest = list_payment_trail(ports, payment_id=payment_id, limit=100, cursor=first.next_cursor)
    assert first.data + rest.data == whole


@pytest.mark.parametrize("payment_id", [str(new_id()), "nothing", ""])
def test_a_payment_that_is_not_there(ports: Ports, payment_id: str) -> None:
    with pytest.raises(PaymentNotFound):
        inspect_payment(ports, payment_id=payment_id, by=By(ActorKind.STAFF))
    with pytest.raises(PaymentNotFound):
        list_payment_trail(ports, payment_id=payment_id)


def test_nobody_changes_the_trail(ports: Ports, payments_sessions: Any) -> None:
    pay(ports)
    for change in ("UPDATE audit_entries SET reason = 'x'", "DELETE FROM audit_entries", "TRUNCATE audit_entries"):
        with payments_sessions() as session, pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            session.execute(sa.text(change))


def test_an_id_is_made_shortly_after_its_moment(ports: Ports) -> None:
    """The bounds by id rely on it (`sql_history.bounds`)."""
    answer = pay(ports).body
    (row,) = everything(ports, UUID(answer["customer_id"]))
    made = EPOCH + timedelta(milliseconds=row["id"].int >> 80)
    assert isinstance(row["posted_at"], datetime)
    assert timedelta(milliseconds=-1) <= made - row["posted_at"] < timedelta(seconds=5)


def test_the_staff_asks_the_provider_now(ports: Ports) -> None:
    """And does not wait for the time of the next check, neither of the payment nor of its refunds."""
    payment_id = pay(ports, payment_method="tok_timeout").body["id"]
    assert find_payments(ports, status="unknown").data
    officer = By(ActorKind.STAFF, new_id(), "the customer sees the charge")
    assert check_now(ports, payment_id=payment_id, by=officer)["status"] == "succeeded"
    settled = next(
        row
        for row in list_payment_trail(ports, payment_id=payment_id, limit=100).data
        if row["action"] == "charge.succeeded"
    )
    assert (settled["actor_id"], settled["reason"]) == (officer.id, "the customer sees the charge")


def test_the_staff_asks_about_refunds_now(ports: Ports) -> None:
    payment_id = pay(ports, payment_method="tok_refund_timeout").body["id"]
    assert refund(ports, payment_id, amount=400).body["status"] == "unknown"
    seen = check_now(ports, payment_id=payment_id, by=By(ActorKind.STAFF))
    assert [(row["amount"], row["status"]) for row in seen["refunds"]] == [(400, "succeeded")]
    assert seen["amount_refunded"] == 400
    again = check_now(ports, payment_id=payment_id, by=By(ActorKind.STAFF))
    assert [row["status"] for row in again["refunds"]] == ["succeeded"]

"""The past on PostgreSQL: pages, periods, whose it is, what the staff finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from lib.ids import EPOCH, IdMaker, moment_of, new_id, rfc3339, utc_now
from payments_svc.application.check_now import check_now
from payments_svc.application.find_payments import InvalidFilter, find_payments
from payments_svc.application.history_ports import ActorKind, By, Place
from payments_svc.application.inspect_payment import inspect_payment, list_payment_trail
from payments_svc.application.list_transactions import MAX_EXPORTED, list_transactions
from payments_svc.application.pages import InvalidCursor, InvalidLimit, encoded_cursor
from payments_svc.application.ports import Ports
from payments_svc.bootstrap import build_ports
from payments_svc.domain.arguments import InvalidUserId
from payments_svc.domain.payment_errors import PaymentNotFound
from payments_svc.domain.period import InvalidPeriod
from tests.integration.payments.test_payments_races import ANN, CONFIG, pay, refund
from tests.support import databases
from tests.support.seeded_history import BEGAN, CANCELED_REFERENCE, RARE, seed

FEW = 25
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


# --- periods, whatever the ids are ---


@pytest.fixture
def database(migrated: dict[str, str]) -> Iterator[sa.Connection]:
    """The superuser's way into the database."""
    admin = databases.admin(databases.on_database(migrated["POSTGRES_SUPERUSER_URL"], "payments_sql"))
    with admin.connect() as connection:
        yield connection
    admin.dispose()


HOUR = timedelta(hours=1)


@pytest.mark.parametrize("off", [-9000 * HOUR, -HOUR, timedelta(seconds=-11), timedelta(seconds=11), HOUR, 9000 * HOUR])
def test_no_payment_is_between_two_periods(ports: Ports, database: sa.Connection, off: timedelta) -> None:
    """Neither in the history nor for the staff, by however much its ids' clock differs from that of its times."""
    strange = IdMaker(lambda: int((utc_now() + off - EPOCH) / timedelta(microseconds=1)) * 1000)
    makers = (ports, replace(ports, new_id=strange), ports)
    ids = [pay(each, idempotency_key=f"key-{number}").body["id"] for number, each in enumerate(makers)]
    # The entry of the one in the middle, too.
    update = "UPDATE ledger_entries SET id = :id WHERE payment_id = :payment_id AND account = 'sales'"
    database.execute(sa.text("SET session_replication_role = replica"))
    database.execute(sa.text(update), {"id": strange(), "payment_id": ids[1]})
    lists = (
        ("posted_at", "payment_id", lambda **period: everything(ports, UUID(ANN), limit=1, **period)),
        ("created_at", "id", lambda **period: found(ports, limit=1, **period)),
        ("created_at", "id", lambda **period: found(ports, limit=1, customer_id=ANN, status="succeeded", **period)),
    )
    for time, id, listed in lists:
        rows = listed()
        assert [str(row[id]) for row in reversed(rows)] == ids
        for row in rows:
            moment = rfc3339(row[time])
            before, after = listed(until=moment), listed(since=moment)
            assert after + before == rows
            assert after[-1] == row
            only = listed(since=moment, until=rfc3339(row[time] + timedelta(microseconds=1)))
            assert only == [row]


def test_a_burst_of_ids_takes_nothing_out_of_a_period(ports: Ports) -> None:
    for _ in range(20_000):
        ports.new_id()
    began = rfc3339(utc_now())
    answer = pay(ports).body
    (row,) = everything(ports, UUID(ANN))
    made = moment_of(row["id"])
    assert timedelta(milliseconds=-1) <= made - row["posted_at"] < timedelta(seconds=5)
    until = rfc3339(utc_now() + timedelta(milliseconds=1))
    assert everything(ports, UUID(ANN), since=began, until=until) == [row]
    assert [str(each["id"]) for each in find_payments(ports, since=began, until=until).data] == [answer["id"]]


@pytest.mark.parametrize("moment", [datetime.min, datetime.max], ids=["the first", "the last"])
def test_a_cursor_of_a_time_that_no_clock_shows(ports: Ports, moment: datetime) -> None:
    """Whoever makes one up gets an empty page, or the first."""
    place = Place(moment.replace(tzinfo=UTC), new_id())
    cursor = encoded_cursor(place, f"transactions:{ANN}:None:None:")
    pay(ports)
    assert len(list_transactions(ports, user_id=ANN, cursor=cursor).data) == (moment == datetime.max)


def found(ports: Ports, **filter: Any) -> list[dict[str, Any]]:
    """Go through all pages of what the staff finds."""
    rows, cursor = [], None
    while True:
        page = find_payments(ports, cursor=cursor, **filter)
        rows += page.data
        cursor = page.next_cursor
        if cursor is None:
            return rows


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


def test_without_a_status_all_of_them_are_merged(ports: Ports, payments_sessions: Any) -> None:
    people = seeded(payments_sessions, ann=40, bob=40)
    canceled = found(ports, status="canceled")
    assert len(canceled) == len(found(ports, status=RARE)) == 2
    again = found(ports, customer_id=str(people["ann"]), reference=CANCELED_REFERENCE)
    assert again == [row for row in canceled if row["customer_id"] == people["ann"]]
    whole = found(ports, limit=100)
    assert [(row["created_at"], row["id"]) for row in whole] == sorted(
        ((row["created_at"], row["id"]) for row in whole), reverse=True
    )
    assert len({row["id"] for row in whole}) == 80
    assert found(ports, limit=3) == whole
    anns = [row for row in whole if row["customer_id"] == people["ann"]]
    assert found(ports, limit=3, customer_id=str(people["ann"])) == anns


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

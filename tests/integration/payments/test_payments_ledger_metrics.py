"""What operators see of the books on /metrics and in the log, without anybody summing them anew."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY, generate_latest

from payments_svc.infrastructure import ledger_metrics
from payments_svc.infrastructure.ledger_metrics import LedgerWatch
from payments_svc.infrastructure.sql_ledger import SqlBooks
from tests.integration.payments.ledger_books import BANK, capture, post
from tests.unit.lib.fakes import Clock


@pytest.fixture(autouse=True)
def _fresh():
    """Metrics belong to a process; each test is one."""
    for each in (ledger_metrics.DIFFERENCE, ledger_metrics.BALANCE):
        each.clear()


@pytest.fixture
def sessions(payments_sessions):
    return payments_sessions


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def look(sessions, clock):
    """``look(watch)``: as the job does, when it is time again."""

    def look(watch):
        clock.now += ledger_metrics.WATCHED_EVERY
        with sessions() as session:
            watch.look(session)

    return look


@pytest.fixture
def seal(sessions):
    return lambda: SqlBooks(sessions, balances=False).seal(1000)


def value(name, **labels):
    return REGISTRY.get_sample_value(f"payments_ledger_{name}", labels)


def test_the_figures_are_about_what_is_sealed_and_what_waits(sessions, clock, look, seal):
    watch = LedgerWatch(balances=True, clock=clock.monotonic)
    look(watch)
    assert (value("entries"), value("sealed_entries"), value("unsealed_entries")) == (0, 0, 0)
    assert value("oldest_unsealed_seconds") == 0
    post(sessions, capture(1000), capture(70, "JPY"))
    look(watch)
    assert (value("entries"), value("sealed_entries"), value("unsealed_entries")) == (4, 0, 4)
    assert 0 < value("oldest_unsealed_seconds") < 60
    assert value("difference", currency="EUR") is None
    sealed_before = value("sealed_total")
    assert seal() == 4
    assert value("sealed_total") == sealed_before + 4
    look(watch)
    assert (value("entries"), value("sealed_entries"), value("unsealed_entries")) == (4, 4, 0)
    assert value("oldest_unsealed_seconds") == 0
    assert value("summed_entries") == 4
    assert value("difference", currency="EUR") == value("difference", currency="JPY") == 0
    assert value("balance", account=BANK, currency="EUR") == 1000
    assert value("balance", account="sales", currency="JPY") == -70
    assert value("watched_timestamp_seconds") > 1_700_000_000


def test_balances_are_told_only_where_that_is_wanted(sessions, clock, look, seal):
    post(sessions, capture(1000))
    seal()
    look(LedgerWatch(balances=False, clock=clock.monotonic))
    assert value("difference", currency="EUR") == 0
    assert value("balance", account=BANK, currency="EUR") is None
    assert b"payments_ledger_balance{" not in generate_latest(REGISTRY)


def test_nobody_s_id_is_among_the_metrics(sessions, clock, look, seal):
    posting = capture(1000)
    post(sessions, posting)
    seal()
    look(LedgerWatch(balances=True, clock=clock.monotonic))
    told = generate_latest(REGISTRY).decode()
    assert "payments_ledger_balance{" in told
    for each in (posting.customer_id, posting.payment_id):
        assert str(each) not in told


def test_what_does_not_add_up_is_an_alarm(sessions, clock, look, seal, database):
    post(sessions, capture(1000))
    with database("payments_sql") as superuser:
        superuser.execute(sa.text("set session_replication_role = replica"))
        superuser.execute(sa.text("update ledger_entries set amount = 1007 where amount > 0"))
    seal()
    look(LedgerWatch(balances=False, clock=clock.monotonic))
    assert value("difference", currency="EUR") == 7


def test_each_entry_is_added_once_and_a_new_process_comes_to_the_same_sums(sessions, clock, look, seal, monkeypatch):
    monkeypatch.setattr(ledger_metrics, "PART", 3)
    old = LedgerWatch(balances=True, clock=clock.monotonic)
    for amount in range(1, 6):
        post(sessions, capture(amount))
        seal()
        look(old)
    assert value("balance", account=BANK, currency="EUR") == 15
    young = LedgerWatch(balances=True, clock=clock.monotonic)
    summed = []
    for _ in range(4):
        # It has much to catch up with, and does not wait for that.
        with sessions() as session:
            young.look(session)
        summed.append(value("summed_entries"))
    assert summed == [3, 6, 9, 10]
    assert value("balance", account=BANK, currency="EUR") == 15
    assert value("difference", currency="EUR") == 0


def test_a_look_is_not_repeated_at_once(sessions, clock, seal):
    watch = LedgerWatch(balances=True, clock=clock.monotonic)
    asked = []
    sa.event.listen(sessions.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    with sessions() as session:
        watch.look(session)
        first = len(asked)
        watch.look(session)
        assert first > 0
        assert len(asked) == first
        clock.now += ledger_metrics.WATCHED_EVERY
        watch.look(session)
        assert len(asked) > first


def test_no_look_reads_the_entries_again(sessions, clock, look, seal):
    post(sessions, *[capture(n) for n in range(1, 40)])
    seal()
    watch = LedgerWatch(balances=True, clock=clock.monotonic)
    look(watch)
    asked = []
    sa.event.listen(sessions.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    look(watch)
    assert asked
    assert not [each for each in asked if "ledger_entries" in each]


def test_books_that_were_cut_are_summed_from_the_beginning(sessions, clock, look, seal, database):
    watch = LedgerWatch(balances=True, clock=clock.monotonic)
    post(sessions, capture(1000), capture(50, "JPY"))
    seal()
    look(watch)
    with database("payments_sql") as superuser:
        superuser.execute(sa.text("truncate ledger_entries, ledger_seals, ledger_unsealed"))
    look(watch)
    assert value("summed_entries") == 0
    assert value("balance", account=BANK, currency="EUR") is None
    post(sessions, capture(3))
    seal()
    look(watch)
    assert value("balance", account=BANK, currency="EUR") == 3


def test_the_head_is_in_the_log_now_and_then(sessions, clock, look, seal, caplog):
    caplog.set_level(logging.INFO, logger=ledger_metrics.__name__)
    watch = LedgerWatch(balances=False, clock=clock.monotonic)
    look(watch)
    assert not caplog.messages
    for _ in range(3):
        post(sessions, capture())
        seal()
        look(watch)
    assert [message.partition(":")[0] for message in caplog.messages] == ["ledger head 2"]
    clock.now += ledger_metrics.TOLD_EVERY
    look(watch)
    look(watch)
    assert [message.partition(":")[0] for message in caplog.messages] == ["ledger head 2", "ledger head 6"]

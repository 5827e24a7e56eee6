"""The database refuses what no code may write, whatever a mistake above would ask of it."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from lib.ids import new_id
from lib.uow import constraint_of
from payments_svc.bootstrap import build_ports
from payments_svc.infrastructure.tables import metadata
from tests.integration.payments.test_payments_races import CONFIG, pay, refund


def operation(**changes):
    """Return an UPDATE that puts a whole operation into a payment, but for the changes."""
    values = {
        "operation": "'capture'",
        "operation_id": "id",
        "operation_status": "'pending'",
        "operation_started_at": "now()",
        "next_check_at": "now()",
        **changes,
    }
    return "update payments set " + ", ".join(f"{name} = {value}" for name, value in values.items())


@pytest.fixture
def session(payments_sessions):
    """A session in which there is one payment of 1000 and a refund of 400."""
    ports = build_ports(CONFIG, payments_sessions)
    payment_id = pay(ports, reference="order-17").body["id"]
    refund(ports, payment_id, amount=400)
    with payments_sessions() as session:
        yield session


@pytest.mark.parametrize(
    "change, constraint",
    [
        ("update payments set amount = 0", "payments_amount_range"),
        ("update payments set amount = 1000000000001", "payments_amount_range"),
        ("update payments set amount_captured = 1001", "payments_captured_range"),
        ("update payments set amount_refunded = 1001", "payments_refunds_covered"),
        ("update payments set amount_refunding = 601", "payments_refunds_covered"),
        ("update payments set amount_refunded = -1", "payments_refunds_positive"),
        ("update payments set amount_refunding = -1", "payments_refunds_positive"),
        ("update payments set amount_captured = 0, amount_refunded = 0", "payments_succeeded_is_captured"),
        ("update payments set currency = 'eur'", "payments_currency_code"),
        ("update payments set status = 'paid'", "payments_status_known"),
        ("update payments set status = 'unknown', next_check_at = now()", "payments_open_has_operation"),
        ("update payments set status = 'processing', next_check_at = now()", "payments_open_has_operation"),
        ("update payments set status = 'requires_action'", "payments_open_is_checked"),
        (operation(next_check_at="null"), "payments_open_is_checked"),
        (operation(attempt_id="null"), "payments_open_is_checked"),
        (operation(operation_id="null"), "payments_operation_whole"),
        (operation(operation_status="null"), "payments_operation_whole"),
        (operation(operation_started_at="null"), "payments_operation_whole"),
        ("update payments set operation_id = id", "payments_operation_whole"),
        ("update payments set amount_capturable = 1", "payments_capturable_is_authorized"),
        ("update payments set amount_capturable = -1", "payments_capturable_range"),
        ("update payments set capture_method = 'later'", "payments_capture_method_known"),
        ("update payments set cancellation_reason = 'because'", "payments_cancellation_reason_known"),
        ("update payments set metadata = '[]'", "payments_metadata_object"),
        ("update payments set payment_method = null, payment_method_id = id", "payments_kept_method_has_token"),
        ("update refunds set amount = 0", "refunds_amount_positive"),
        ("update refunds set currency = 'E'", "refunds_currency_code"),
        ("update refunds set status = 'done'", "refunds_status_known"),
        ("update refunds set status = 'pending', next_check_at = null", "refunds_open_is_checked"),
        ("update idempotency_claims set key = 'a b'", "idempotency_claims_key_visible"),
        ("update idempotency_claims set key = repeat('k', 256)", "idempotency_claims_key_visible"),
        ("update idempotency_claims set status = 'over', finished_at = null", "idempotency_claims_status_known"),
        ("update idempotency_claims set finished_at = null", "idempotency_claims_finished"),
        ("update idempotency_claims set status = 'running'", "idempotency_claims_finished"),
        ("update sandbox_charges set amount = 0", "sandbox_charges_amount_positive"),
        ("update sandbox_refunds set amount = 0", "sandbox_refunds_amount_positive"),
        ("update sandbox_charges set status = 'paid'", "sandbox_charges_status_known"),
        ("update customers set status = 'gone'", "customers_status_known"),
        ("update customers set status_sequence = -1", "customers_status_sequence_positive"),
        ("delete from payments", "refunds_payment_id_fkey"),
        ("delete from customers", "payments_customer_id_fkey"),
    ],
)
def test_it_refuses(session, change, constraint):
    with pytest.raises(IntegrityError) as refusal:
        session.execute(sa.text(change))
    assert constraint_of(refusal.value) == constraint


def test_what_it_would_let_through_it_does(session):
    """The operation that the refused ones are made of is whole."""
    session.execute(sa.text(operation()))


@pytest.mark.parametrize(
    "table, changes, constraint",
    [
        ("payments", "id = :new", "payments_attempt_id_key"),
        ("payments", "id = :new, attempt_id = null", "payments_reference_key"),
        ("refunds", "id = :new", "refunds_attempt_id_key"),
        ("idempotency_claims", "attempt_id = :new", "idempotency_claims_scope_key"),
    ],
)
def test_it_refuses_a_second_one(session, table, changes, constraint):
    session.execute(sa.text(f"create temporary table copy on commit drop as select * from {table} limit 1"))
    session.execute(sa.text(f"update copy set {changes}"), {"new": new_id()})
    with pytest.raises(IntegrityError) as refusal:
        session.execute(sa.text(f"insert into {table} select * from copy"))
    assert constraint_of(refusal.value) == constraint


def test_a_claim_is_about_a_payment_that_there_is(session):
    session.execute(sa.text("update idempotency_claims set payment_id = :new"), {"new": new_id()})
    with pytest.raises(IntegrityError) as refusal:
        session.commit()
    assert constraint_of(refusal.value) == "idempotency_claims_payment_id_fkey"


def test_every_check_of_the_tables_is_in_the_database(session):
    """Alembic does not compare checks, so that a forgotten one would not be noticed."""
    declared = {
        constraint.name
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }
    query = "select conname from pg_constraint where contype = 'c' and connamespace = 'public'::regnamespace"
    assert declared
    assert declared == set(session.execute(sa.text(query)).scalars())


@pytest.mark.parametrize(
    "statement", ["drop table payments", "alter table payments drop column amount", "truncate payments"]
)
def test_the_running_service_defines_nothing(session, statement):
    with pytest.raises(DBAPIError, match=r"must be owner|permission denied"):
        session.execute(sa.text(statement))

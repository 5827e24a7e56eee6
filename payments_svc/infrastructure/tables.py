"""The tables of payments_svc, and how the domain's classes lie in them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import registry

from lib.outbox import inbox_table, outbox_table
from payments_svc.domain.customer import Customer, CustomerStatus
from payments_svc.domain.idempotency import Claim, ClaimStatus
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_status import (
    CancellationReason,
    CaptureMethod,
    Operation,
    OperationStatus,
    PaymentStatus,
)
from payments_svc.domain.refund import Refund, RefundStatus

# For their tables, which belong to the same database.
from payments_svc.infrastructure import (  # noqa: F401
    history_tables,
    ledger_tables,
    method_tables,
    sandbox_tables,
    webhook_tables,
)
from payments_svc.infrastructure.columns import WordType, amount, id_column, metadata, moment, one_of

mapper = registry(metadata=metadata)

customers = sa.Table(
    "customers",
    metadata,
    id_column("id"),
    moment("created_at"),
    sa.Column("status", WordType(CustomerStatus), nullable=False, server_default=CustomerStatus.ACTIVE),
    sa.Column("status_sequence", sa.Integer, nullable=False, server_default="0"),
    sa.PrimaryKeyConstraint("id", name="customers_pkey"),
    one_of("customers", "status", CustomerStatus),
    sa.CheckConstraint("status_sequence >= 0", name="customers_status_sequence_positive"),
)

# The ids of deleted accounts. The running service can add to it, and neither change nor delete.
tombstones = sa.Table(
    "tombstones",
    metadata,
    id_column("id"),
    moment("deleted_at"),
    sa.PrimaryKeyConstraint("id", name="tombstones_pkey"),
)

payments = sa.Table(
    "payments",
    metadata,
    id_column("id"),
    id_column("customer_id"),
    amount("amount"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("metadata", pg.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    sa.Column("reference", sa.Text),
    sa.Column("status", WordType(PaymentStatus), nullable=False),
    sa.Column("capture_method", WordType(CaptureMethod), nullable=False, server_default=CaptureMethod.AUTOMATIC),
    amount("amount_capturable", default="0"),
    amount("amount_captured", default="0"),
    amount("amount_refunded", default="0"),
    amount("amount_refunding", default="0"),
    sa.Column("payment_method", sa.Text),
    # No foreign key: what the customer's account takes along when it is deleted is not to become a token that is shown.
    id_column("payment_method_id", nullable=True),
    sa.Column("provider", sa.Text),
    id_column("attempt_id", nullable=True),
    sa.Column("provider_reference", sa.Text),
    sa.Column("decline_code", sa.Text),
    sa.Column("next_action", pg.JSONB(none_as_null=True)),
    moment("authorized_until", nullable=True),
    moment("action_until", nullable=True),
    sa.Column("cancellation_reason", WordType(CancellationReason)),
    sa.Column("operation", WordType(Operation)),
    id_column("operation_id", nullable=True),
    amount("operation_amount", nullable=True),
    sa.Column("operation_status", WordType(OperationStatus)),
    moment("operation_started_at", nullable=True),
    sa.Column("authentication", sa.Text),
    moment("next_check_at", nullable=True),
    sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
    moment("created_at"),
    moment("updated_at"),
    sa.PrimaryKeyConstraint("id", name="payments_pkey"),
    sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="payments_customer_id_fkey"),
    sa.UniqueConstraint("attempt_id", name="payments_attempt_id_key"),
    one_of("payments", "status", PaymentStatus),
    sa.CheckConstraint("amount BETWEEN 1 AND 1000000000000", name="payments_amount_range"),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="payments_currency_code"),
    sa.CheckConstraint("amount_captured BETWEEN 0 AND amount", name="payments_captured_range"),
    sa.CheckConstraint("status <> 'succeeded' OR amount_captured > 0", name="payments_succeeded_is_captured"),
    sa.CheckConstraint("amount_refunded >= 0 AND amount_refunding >= 0", name="payments_refunds_positive"),
    # The cap that the domain keeps; here, no mistake and no race above can break it.
    sa.CheckConstraint("amount_refunded + amount_refunding <= amount_captured", name="payments_refunds_covered"),
    sa.CheckConstraint("jsonb_typeof(metadata) = 'object'", name="payments_metadata_object"),
    # What is open has to be found again, even if the process that opened it is gone.
    sa.CheckConstraint(
        "(status NOT IN ('processing', 'unknown', 'requires_action', 'requires_capture') AND operation IS NULL)"
        " OR (next_check_at IS NOT NULL AND attempt_id IS NOT NULL)",
        name="payments_open_is_checked",
    ),
    sa.CheckConstraint(
        "status NOT IN ('processing', 'unknown') OR operation IS NOT NULL", name="payments_open_has_operation"
    ),
    sa.CheckConstraint(
        "(operation IS NULL) = (operation_id IS NULL) AND (operation IS NULL) = (operation_status IS NULL)"
        " AND (operation IS NULL) = (operation_started_at IS NULL)",
        name="payments_operation_whole",
    ),
    sa.CheckConstraint(
        "payment_method_id IS NULL OR payment_method IS NOT NULL", name="payments_kept_method_has_token"
    ),
    one_of("payments", "capture_method", CaptureMethod),
    one_of("payments", "cancellation_reason", CancellationReason),
    one_of("payments", "operation", Operation),
    one_of("payments", "operation_status", OperationStatus),
    sa.CheckConstraint("amount_capturable BETWEEN 0 AND amount", name="payments_capturable_range"),
    sa.CheckConstraint(
        "(status = 'requires_capture') = (amount_capturable > 0)", name="payments_capturable_is_authorized"
    ),
)
sa.Index("payments_customer_id", payments.c.customer_id, payments.c.id)
sa.Index(
    "payments_reference_key",
    payments.c.customer_id,
    payments.c.reference,
    unique=True,
    postgresql_where=sa.text("reference IS NOT NULL AND status <> 'canceled'"),
)
# What the staff finds: by any filter, a status in the order of time.
_FOUND = (payments.c.status, payments.c.created_at, payments.c.id)
sa.Index("payments_found", *_FOUND)
sa.Index("payments_found_of_customer", payments.c.customer_id, *_FOUND)
sa.Index(
    "payments_found_by_reference",
    payments.c.customer_id,
    payments.c.reference,
    *_FOUND,
    postgresql_where=payments.c.reference.is_not(None),
)
sa.Index("payments_next_check_at", payments.c.next_check_at, postgresql_where=payments.c.next_check_at.is_not(None))

refunds = sa.Table(
    "refunds",
    metadata,
    id_column("id"),
    id_column("payment_id"),
    id_column("customer_id"),
    id_column("requested_by"),
    amount("amount"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("status", WordType(RefundStatus), nullable=False),
    id_column("attempt_id"),
    sa.Column("failure_code", sa.Text),
    sa.Column("provider_reference", sa.Text),
    moment("next_check_at", nullable=True),
    sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
    moment("created_at"),
    moment("updated_at"),
    sa.PrimaryKeyConstraint("id", name="refunds_pkey"),
    sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="refunds_payment_id_fkey"),
    sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="refunds_customer_id_fkey"),
    one_of("refunds", "status", RefundStatus),
    sa.CheckConstraint("amount > 0", name="refunds_amount_positive"),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="refunds_currency_code"),
    sa.CheckConstraint(
        "status NOT IN ('pending', 'unknown') OR next_check_at IS NOT NULL", name="refunds_open_is_checked"
    ),
)
sa.Index("refunds_payment_id", refunds.c.payment_id, refunds.c.id)
# For the foreign key: when a customer goes, PostgreSQL looks here.
sa.Index("refunds_customer_id", refunds.c.customer_id)
# A refund that was not executed leaves its attempt to the one that takes its place.
sa.Index("refunds_attempt_id_key", refunds.c.attempt_id, unique=True, postgresql_where=sa.text("status <> 'canceled'"))
# A message may tell of one that was called off.
sa.Index("refunds_canceled_attempt_id", refunds.c.attempt_id, postgresql_where=sa.text("status = 'canceled'"))
sa.Index("refunds_next_check_at", refunds.c.next_check_at, postgresql_where=refunds.c.next_check_at.is_not(None))

idempotency_claims = sa.Table(
    "idempotency_claims",
    metadata,
    id_column("attempt_id"),
    id_column("user_id"),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("body_hash", sa.Text, nullable=False),
    id_column("payment_id"),
    id_column("refund_id", nullable=True),
    sa.Column("status", WordType(ClaimStatus), nullable=False),
    sa.Column("run", sa.Integer, nullable=False, server_default="1"),
    sa.Column("answer", pg.JSONB(none_as_null=True)),
    moment("started_at"),
    moment("finished_at", nullable=True),
    sa.PrimaryKeyConstraint("attempt_id", name="idempotency_claims_pkey"),
    sa.UniqueConstraint("user_id", "operation", "key", name="idempotency_claims_scope_key"),
    # Deferred, because the claim comes first, so that whoever asks at the same time waits for nothing else.
    sa.ForeignKeyConstraint(
        ["payment_id"],
        ["payments.id"],
        name="idempotency_claims_payment_id_fkey",
        ondelete="CASCADE",
        deferrable=True,
        initially="DEFERRED",
    ),
    sa.ForeignKeyConstraint(
        ["refund_id"],
        ["refunds.id"],
        name="idempotency_claims_refund_id_fkey",
        ondelete="CASCADE",
        deferrable=True,
        initially="DEFERRED",
    ),
    one_of("idempotency_claims", "status", ClaimStatus),
    sa.CheckConstraint("key ~ '^[!-~]{1,255}$'", name="idempotency_claims_key_visible"),
    sa.CheckConstraint("(status = 'done') = (finished_at IS NOT NULL)", name="idempotency_claims_finished"),
)
sa.Index("idempotency_claims_payment_id", idempotency_claims.c.payment_id)
sa.Index("idempotency_claims_refund_id", idempotency_claims.c.refund_id)
sa.Index(
    "idempotency_claims_answered",
    idempotency_claims.c.finished_at,
    postgresql_where=idempotency_claims.c.answer.is_not(None),
)

outbox = outbox_table(metadata)
inbox = inbox_table(metadata)


def map_domain() -> None:
    """Teach SQLAlchemy the domain's classes, once; the classes never learn about SQLAlchemy."""
    for entity, table, version in (
        (Customer, customers, None),
        (Payment, payments, payments.c.version),
        (Refund, refunds, None),
        # Whoever takes a claim over begins another run.
        (Claim, idempotency_claims, idempotency_claims.c.run),
    ):
        if not sa.inspect(entity, raiseerr=False):
            mapper.map_imperatively(entity, table, version_id_col=version, version_id_generator=False)

"""The tables of payments_svc, and how the domain's classes lie in them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import registry

from lib.outbox import inbox_table, outbox_table
from payments_svc.domain.customer import Customer, CustomerStatus
from payments_svc.domain.idempotency import Claim, ClaimStatus
from payments_svc.domain.payment import Payment, PaymentStatus
from payments_svc.domain.refund import Refund, RefundStatus

metadata = sa.MetaData()
mapper = registry(metadata=metadata)


class WordType(sa.TypeDecorator[StrEnum]):
    """A status, kept as its word."""

    impl, cache_ok = sa.Text, True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, _dialect: sa.Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any | None, _dialect: sa.Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)


def _one_of(table: str, column: str, words: type[StrEnum]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{each}'" for each in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"{table}_{column}_known")


def _id(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, pg.UUID(as_uuid=True), nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _amount(name: str, *, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=default)


customers = sa.Table(
    "customers",
    metadata,
    _id("id"),
    _moment("created_at"),
    sa.Column("status", WordType(CustomerStatus), nullable=False, server_default=CustomerStatus.ACTIVE),
    sa.Column("status_sequence", sa.Integer, nullable=False, server_default="0"),
    sa.PrimaryKeyConstraint("id", name="customers_pkey"),
    _one_of("customers", "status", CustomerStatus),
    sa.CheckConstraint("status_sequence >= 0", name="customers_status_sequence_positive"),
)

# The ids of deleted accounts. The running service can add to it, and neither change nor delete.
tombstones = sa.Table(
    "tombstones",
    metadata,
    _id("id"),
    _moment("deleted_at"),
    sa.PrimaryKeyConstraint("id", name="tombstones_pkey"),
)

payments = sa.Table(
    "payments",
    metadata,
    _id("id"),
    _id("customer_id"),
    _amount("amount"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("metadata", pg.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    sa.Column("reference", sa.Text),
    sa.Column("status", WordType(PaymentStatus), nullable=False),
    _amount("amount_captured", default="0"),
    _amount("amount_refunded", default="0"),
    _amount("amount_refunding", default="0"),
    sa.Column("payment_method", sa.Text),
    sa.Column("provider", sa.Text),
    _id("attempt_id", nullable=True),
    sa.Column("decline_code", sa.Text),
    _moment("next_check_at", nullable=True),
    sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
    _moment("created_at"),
    _moment("updated_at"),
    sa.PrimaryKeyConstraint("id", name="payments_pkey"),
    sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="payments_customer_id_fkey"),
    sa.UniqueConstraint("attempt_id", name="payments_attempt_id_key"),
    _one_of("payments", "status", PaymentStatus),
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
        "status NOT IN ('processing', 'unknown') OR (next_check_at IS NOT NULL AND attempt_id IS NOT NULL)",
        name="payments_open_is_checked",
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
sa.Index("payments_next_check_at", payments.c.next_check_at, postgresql_where=payments.c.next_check_at.is_not(None))

refunds = sa.Table(
    "refunds",
    metadata,
    _id("id"),
    _id("payment_id"),
    _id("customer_id"),
    _id("requested_by"),
    _amount("amount"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("status", WordType(RefundStatus), nullable=False),
    _id("attempt_id"),
    sa.Column("failure_code", sa.Text),
    _moment("next_check_at", nullable=True),
    _moment("created_at"),
    _moment("updated_at"),
    sa.PrimaryKeyConstraint("id", name="refunds_pkey"),
    sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="refunds_payment_id_fkey"),
    sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="refunds_customer_id_fkey"),
    _one_of("refunds", "status", RefundStatus),
    sa.CheckConstraint("amount > 0", name="refunds_amount_positive"),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="refunds_currency_code"),
    sa.CheckConstraint(
        "status NOT IN ('pending', 'unknown') OR next_check_at IS NOT NULL", name="refunds_open_is_checked"
    ),
)
sa.Index("refunds_payment_id", refunds.c.payment_id, refunds.c.id)
# A refund that was not executed leaves its attempt to the one that takes its place.
sa.Index("refunds_attempt_id_key", refunds.c.attempt_id, unique=True, postgresql_where=sa.text("status <> 'canceled'"))
sa.Index("refunds_next_check_at", refunds.c.next_check_at, postgresql_where=refunds.c.next_check_at.is_not(None))

idempotency_claims = sa.Table(
    "idempotency_claims",
    metadata,
    _id("attempt_id"),
    _id("user_id"),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("body_hash", sa.Text, nullable=False),
    _id("payment_id"),
    _id("refund_id", nullable=True),
    sa.Column("status", WordType(ClaimStatus), nullable=False),
    sa.Column("run", sa.Integer, nullable=False, server_default="1"),
    sa.Column("answer", pg.JSONB(none_as_null=True)),
    _moment("started_at"),
    _moment("finished_at", nullable=True),
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
    _one_of("idempotency_claims", "status", ClaimStatus),
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

# The sandbox's own books: what a real provider would know. Nothing but the sandbox reads or writes them, and no
# foreign key leads here or from here.
sandbox_charges = sa.Table(
    "sandbox_charges",
    metadata,
    _id("attempt_id"),
    _amount("amount"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("payment_method", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False, server_default="1"),
    _moment("created_at"),
    sa.PrimaryKeyConstraint("attempt_id", name="sandbox_charges_pkey"),
    sa.CheckConstraint("status IN ('succeeded', 'declined', 'error')", name="sandbox_charges_status_known"),
    sa.CheckConstraint("amount > 0", name="sandbox_charges_amount_positive"),
)

sandbox_refunds = sa.Table(
    "sandbox_refunds",
    metadata,
    _id("attempt_id"),
    _id("charge_attempt_id"),
    _amount("amount"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False, server_default="1"),
    _moment("created_at"),
    sa.PrimaryKeyConstraint("attempt_id", name="sandbox_refunds_pkey"),
    sa.ForeignKeyConstraint(
        ["charge_attempt_id"], ["sandbox_charges.attempt_id"], name="sandbox_refunds_charge_attempt_id_fkey"
    ),
    sa.CheckConstraint("amount > 0", name="sandbox_refunds_amount_positive"),
)
sa.Index("sandbox_refunds_charge_attempt_id", sandbox_refunds.c.charge_attempt_id)

outbox = outbox_table(metadata)
inbox = inbox_table(metadata)


def map_domain() -> None:
    """Teach SQLAlchemy the domain's classes, once; the classes never learn about SQLAlchemy."""
    for entity, table in (
        (Customer, customers),
        (Payment, payments),
        (Refund, refunds),
        (Claim, idempotency_claims),
    ):
        if not sa.inspect(entity, raiseerr=False):
            mapper.map_imperatively(entity, table)

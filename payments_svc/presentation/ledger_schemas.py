"""What callers get to read of the books: primitives only."""

from __future__ import annotations

from marshmallow import Schema, fields

from payments_svc.presentation.schemas import Moment


class BalanceSchema(Schema):
    account = fields.String()
    currency = fields.String()
    balance = fields.Integer()
    debits = fields.Integer()
    credits = fields.Integer()


class BalancesSchema(Schema):
    as_of = Moment()
    data = fields.List(fields.Nested(BalanceSchema))


class TrialBalanceLineSchema(Schema):
    currency = fields.String()
    debits = fields.Integer()
    credits = fields.Integer()
    difference = fields.Integer()


class TrialBalanceSchema(Schema):
    as_of = Moment()
    balanced = fields.Boolean()
    data = fields.List(fields.Nested(TrialBalanceLineSchema))


class LedgerEntrySchema(Schema):
    id = fields.String()
    transaction_id = fields.String()
    kind = fields.String()
    source_id = fields.String()
    account = fields.String()
    amount = fields.Integer()
    currency = fields.String()
    customer_id = fields.String()
    payment_id = fields.String()
    refund_id = fields.String()
    request_id = fields.String(attribute="correlation_id")
    posted_at = Moment()


class LedgerEntryPageSchema(Schema):
    data = fields.List(fields.Nested(LedgerEntrySchema))
    next_cursor = fields.String()


BALANCES, TRIAL_BALANCE, LEDGER_ENTRY_PAGE = BalancesSchema(), TrialBalanceSchema(), LedgerEntryPageSchema()

"""The books, for the staff."""

from __future__ import annotations

from typing import Any

from flask import Response

from gateway.answers import NO_STORE, answer
from gateway.fields import MAX_CURSOR, PageQuery, Shape, Text
from gateway.inputs import query
from gateway.openapi import Routes, operation
from gateway.roles import requires_role
from gateway.rpc import services

blueprint = Routes("admin_ledger", __name__, url_prefix="/api/v1/admin/ledger", description="The books, for the staff")

STAFF = ("finance", "admin")
MAX_TIME, MAX_ACCOUNT, MAX_CURRENCY, MAX_ID, MAX_HEAD = 40, 64, 3, 64, 100
FORBIDDEN = ("forbidden",)


class AsOf(Shape):
    at = Text(
        longest=MAX_TIME,
        metadata={
            "description": "As it was at this RFC 3339 time or date (UTC), which must have been; now without it",
            "example": "2026-01-31T12:00:00Z",
        },
    )


class EntriesQuery(PageQuery):
    account = Text(
        longest=MAX_ACCOUNT,
        metadata={"description": "Only of this account; together with `currency`", "example": "sales"},
    )
    currency = Text(
        longest=MAX_CURRENCY, metadata={"description": "ISO 4217; together with `account`", "example": "EUR"}
    )
    payment_id = Text(longest=MAX_ID, metadata={"description": "Only what moved for this payment and its refunds"})


class CheckQuery(Shape):
    expected = Text(
        longest=MAX_HEAD,
        metadata={
            "description": "A `checked` or a logged head of earlier, the same in all steps: without it nobody sees that"
            " the newest entries are gone"
        },
    )
    cursor = Text(longest=MAX_CURSOR, metadata={"description": "`next_cursor` of the step before"})


AS_OF, ENTRIES_QUERY, CHECK_QUERY = AsOf(), EntriesQuery(), CheckQuery()


@blueprint.get("/balances")
@operation(gives=(200, "LedgerBalances"), query=AS_OF, token=True, errors={403: FORBIDDEN, 422: ("invalid_period",)})
@requires_role(*STAFF)
@query(AS_OF)
def get_balances(data: dict[str, str]) -> Response:
    """Show what stands on each account

    Exact for times longer ago than the longest transaction takes, which is seconds: an entry has its time before it is
    committed.
    """
    return answer(services().payments_svc.get_balances(**data), cache=NO_STORE)


@blueprint.get("/trial-balance")
@operation(gives=(200, "TrialBalance"), query=AS_OF, token=True, errors={403: FORBIDDEN, 422: ("invalid_period",)})
@requires_role(*STAFF)
@query(AS_OF)
def get_trial_balance(data: dict[str, str]) -> Response:
    """Show whether debits and credits are the same in each currency

    Exact for the times for which balances are.
    """
    return answer(services().payments_svc.get_trial_balance(**data), cache=NO_STORE)


@blueprint.get("/entries")
@operation(
    gives=(200, "LedgerEntryPage"),
    query=ENTRIES_QUERY,
    token=True,
    errors={403: FORBIDDEN, 422: ("invalid_filter", "invalid_text", "unsupported_currency")},
)
@requires_role(*STAFF)
@query(ENTRIES_QUERY)
def list_entries(data: dict[str, Any]) -> Response:
    """List entries of the books, newest first"""
    return answer(services().payments_svc.list_ledger_entries(**data))


@blueprint.get("/verify")
@operation(gives=(200, "LedgerCheck"), query=CHECK_QUERY, token=True, errors={403: FORBIDDEN, 422: ("invalid_head",)})
@requires_role(*STAFF)
@query(CHECK_QUERY)
def verify(data: dict[str, str]) -> Response:
    """Check a part of the books: is everything as it was written?

    Each answer is about as much as a second allows. Go on with its `next_cursor` until that is null. Books that are
    broken are a good answer, too: see `status`.
    """
    return answer(services().payments_svc.verify_ledger_step(**data), cache=NO_STORE)

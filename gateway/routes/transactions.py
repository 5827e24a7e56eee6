"""What was paid and what went back: in pages, and as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, g, request

from gateway.answers import NO_STORE, answer, encoded
from gateway.bearer import signed_in
from gateway.export import Export, Lines
from gateway.fields import Choice, PageQuery, Shape, Text
from gateway.inputs import query
from gateway.limits import limited_per_account
from gateway.openapi import Routes, operation
from gateway.rpc import services
from gateway.state import gateway

blueprint = Routes("transactions", __name__, url_prefix="/api/v1", description="The history of an account's money")

MAX_MOMENT = 40
FROM = {"description": "From this time on: RFC 3339, or a day (UTC)", "example": "2026-01-01"}
TO = {"description": "Before this time: RFC 3339, or a day (UTC)", "example": "2026-02-01"}
CSV, NDJSON = "text/csv", "application/x-ndjson"
COLUMNS = (
    "type",
    "id",
    "amount",
    "amount_decimal",
    "currency",
    "payment_id",
    "refund_id",
    "description",
    "reference",
    "created_at",
)
WORDS = ("description", "reference")
"""Columns with customers' own words."""

NOTE = "description"
"""Column that says in the last row what JSON says in `rows` or `code`: none that somebody adds up."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula."""

INVALID = {422: ("invalid_period",)}


def _period() -> dict[str, Any]:
    return {
        "from": Text(longest=MAX_MOMENT, data_key="from", attribute="since", metadata=FROM),
        "to": Text(longest=MAX_MOMENT, data_key="to", attribute="until", metadata=TO),
    }


TRANSACTION_QUERY = PageQuery.from_dict(_period(), name="TransactionQuery")()
EXPORT_QUERY = Shape.from_dict(
    {**_period(), "format": Choice("csv", "ndjson", load_default="csv", metadata={"description": "csv, or ndjson"})},
    name="ExportQuery",
)()


@blueprint.get("/transactions")
@operation(gives=(200, "TransactionPage"), query=TRANSACTION_QUERY, token=True, errors=INVALID)
@signed_in
@query(TRANSACTION_QUERY)
def list_transactions(data: dict[str, Any]) -> Response:
    """List the own transactions, newest first

    Amounts are in the currency's minor unit, positive for what was paid and negative for what went back. A refund that
    does not arrive comes back as `refund_failure`. This is read from the books, so it adds up.
    """
    return answer(services().payments_svc.list_transactions(user_id=g.call.actor.id, **data))


@blueprint.get("/transactions/export")
@operation(
    gives=(200, "TransactionExport"),
    files=(CSV, NDJSON),
    query=EXPORT_QUERY,
    token=True,
    errors={**INVALID, 503: ("too_many_streams",)},
)
@signed_in
@limited_per_account("10/minute", shared="transaction exports")
@query(EXPORT_QUERY)
def export_transactions(data: dict[str, Any]) -> Response:
    """Export the own transactions, newest first

    As CSV (RFC 4180, UTF-8, with a header line) or as NDJSON, one object a line. It comes as it is read, whatever its
    length; what is booked meanwhile is not in it.

    **The last line says whether it is complete.** Its `type` is `end` if it is, with the number of transactions: in
    NDJSON `{"type":"end","rows":2}`, in CSV a row whose first column is `end` and whose `description` is the number.
    Else its `type` is `error`, with a `code` (in CSV: the `description`): `token_expired`, `session_ended`, `too_long`
    (after at most an hour), `shutting_down`, or why no more could be read, after some tries. Then, and if neither
    comes, ask again from the beginning.

    In CSV, words that a spreadsheet would take for a formula have a `'` before them.
    """
    lines: Lines = CsvLines() if data.pop("format") == "csv" else JsonLines()
    extension, content_type = ("csv", f"{CSV}; charset=utf-8") if isinstance(lines, CsvLines) else ("ndjson", NDJSON)
    headers = {"Cache-Control": NO_STORE, "X-Accel-Buffering": "no"}
    headers["Content-Disposition"] = f'attachment; filename="transactions.{extension}"'
    # What is sent outlives the request's context.
    own, call = gateway(), g.call
    asked = {"user_id": call.actor.id, **data}
    place = own.streams.enter(call.actor.id)
    try:
        # The first page is asked for before anything is sent, so that what is wrong can still be said.
        first = services().payments_svc.export_transactions(**asked)
        if request.method == "HEAD":
            place.leave()
            return Response(b"", headers=headers, content_type=content_type)

        def ask(view: Any, cursor: str) -> Mapping[str, Any]:
            page: Mapping[str, Any] = view.payments_svc.export_transactions(cursor=cursor, **asked)
            return page

        export = Export(own, place, call, first=first, ask=ask, lines=lines)
    except BaseException:
        place.leave()
        raise
    return Response(export, headers=headers, content_type=content_type)


class CsvLines:
    """One row each, after one with the names of the columns."""

    def rows(self, rows: Sequence[Mapping[str, Any]], *, first: bool) -> bytes:
        return _csv(([COLUMNS] if first else []) + [[_cell(name, row[name]) for name in COLUMNS] for row in rows])

    def end(self, rows: int) -> bytes:
        return self._last("end", rows)

    def error(self, code: str) -> bytes:
        return self._last("error", code)

    @staticmethod
    def _last(kind: str, note: Any) -> bytes:
        return _csv([[{"type": kind, NOTE: note}.get(name) for name in COLUMNS]])


class JsonLines:
    """One object each."""

    def rows(self, rows: Sequence[Mapping[str, Any]], *, first: bool) -> bytes:  # noqa: ARG002  (CSV needs it)
        return b"".join(encoded(row) + b"\n" for row in rows)

    def end(self, rows: int) -> bytes:
        return encoded({"type": "end", "rows": rows}) + b"\n"

    def error(self, code: str) -> bytes:
        return encoded({"type": "error", "code": code}) + b"\n"


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(name: str, value: Any) -> Any:
    return f"'{value}" if name in WORDS and value and value.startswith(FORMULA) else value

"""What was paid and what went back: in pages, and as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, g, request

from gateway.answers import NO_STORE, answer, encoded
from gateway.bearer import signed_in
from gateway.fields import Choice, PageQuery, Shape, Text
from gateway.inputs import query
from gateway.limits import limited_per_account
from gateway.openapi import Routes, operation
from gateway.rpc import services
from gateway.state import gateway
from gateway.streams import Place

blueprint = Routes("transactions", __name__, url_prefix="/api/v1", description="The history of an account's money")

MAX_MOMENT = 40
FROM = {"description": "From this time on: RFC 3339, or a day (UTC)", "example": "2026-01-01"}
TO = {"description": "Before this time: RFC 3339, or a day (UTC)", "example": "2026-02-01"}
CSV, NDJSON = "text/csv", "application/x-ndjson"
COLUMNS = (
    "id",
    "type",
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
    length; what is booked meanwhile is not in it. If something breaks on the way, so does the connection: an export
    that ends as HTTP says is complete. In CSV, words that a spreadsheet would take for a formula have a `'` before
    them.
    """
    as_csv = data.pop("format") == "csv"
    headers = {"Cache-Control": NO_STORE, "X-Accel-Buffering": "no"}
    extension = "csv" if as_csv else "ndjson"
    headers["Content-Disposition"] = f'attachment; filename="transactions.{extension}"'
    own, owner = gateway(), g.call.actor.id
    # This view outlives the request's context.
    payments = services().payments_svc
    place = own.streams.enter(owner)
    try:
        # The first page is asked for before anything is sent, so that what is wrong can still be said.
        first = payments.export_transactions(user_id=owner, **data)
        if request.method == "HEAD":
            place.leave()
            return Response(b"", headers=headers, content_type=f"{CSV}; charset=utf-8" if as_csv else NDJSON)
        write = _csv_lines if as_csv else _json_lines
        lines = Export(place, first, lambda at: payments.export_transactions(user_id=owner, cursor=at, **data), write)
    except BaseException:
        place.leave()
        raise
    return Response(lines, headers=headers, content_type=f"{CSV}; charset=utf-8" if as_csv else NDJSON)


class Export:
    """The pages of an export as they are asked for: one at a time is in memory."""

    def __init__(
        self,
        place: Place,
        first: dict[str, Any],
        following: Callable[[str], dict[str, Any]],
        write: Callable[[list[dict[str, Any]], bool], bytes],
    ) -> None:
        self._place = place
        self._pages = self._written(first, following, write)

    @staticmethod
    def _written(
        page: dict[str, Any],
        following: Callable[[str], dict[str, Any]],
        write: Callable[[list[dict[str, Any]], bool], bytes],
    ) -> Iterator[bytes]:
        yield write(page["data"], True)
        while page["next_cursor"] is not None:
            page = following(page["next_cursor"])
            yield write(page["data"], False)

    def __iter__(self) -> Iterator[bytes]:
        return self._pages

    def close(self) -> None:
        """The client has it all, or has gone."""
        self._place.leave()

    def __del__(self) -> None:
        # A server that throws it away without closing it must not keep its place for ever.
        self._place.abandon()


def _csv_lines(rows: list[dict[str, Any]], with_header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    if with_header:
        writer.writerow(COLUMNS)
    writer.writerows([_cell(name, row[name]) for name in COLUMNS] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(name: str, value: Any) -> Any:
    return f"'{value}" if name in WORDS and value and value.startswith(FORMULA) else value


def _json_lines(rows: list[dict[str, Any]], _first: bool) -> bytes:
    return b"".join(encoded(row) + b"\n" for row in rows)

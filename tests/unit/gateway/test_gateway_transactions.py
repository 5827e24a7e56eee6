"""The history of an account's money over HTTP: pages and exports."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import Client, TestResponse

from gateway.routes.transactions import COLUMNS
from gateway.shapes import EXAMPLES
from gateway.streams import PER_ACCOUNT
from lib.errors import Invalid, Unavailable
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Configure

LIST, EXPORT = "/api/v1/transactions", "/api/v1/transactions/export"
ROW = EXAMPLES["Transaction"]


def paged(pages: list[list[dict[str, Any]]]) -> Any:
    """Answer an export in pages; the cursor is the number of the next."""

    def answer(cursor: str | None = None, **_: Any) -> Mapping[str, Any]:
        at = int(cursor or 0)
        return {"data": pages[at], "next_cursor": str(at + 1) if at + 1 < len(pages) else None}

    return answer


def unread(app: Flask, headers: dict[str, str]) -> TestResponse:
    """Ask for an export and read nothing of it; the tests' own client reads all, to check it."""
    return Client(app).get(EXPORT, headers=headers, buffered=False)


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers["payments_svc.list_transactions"] = EXAMPLES["TransactionPage"]
    cluster.answers["payments_svc.export_transactions"] = paged([[ROW]])


def test_a_page(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    response = client.get(f"{LIST}?from=2026-01-01&to=2026-02-01T00:00:00Z&limit=5", headers=bearer)
    assert response.json == EXAMPLES["TransactionPage"]
    assert cluster.called("payments_svc.list_transactions") == [
        {"user_id": USER_ID, "since": "2026-01-01", "until": "2026-02-01T00:00:00Z", "limit": 5}
    ]


@pytest.mark.parametrize("path", [LIST, EXPORT])
def test_nobody_else_sees_them(client: FlaskClient, cluster: FakeCluster, path: str) -> None:
    assert client.get(path).status_code == 401
    assert not cluster.calls


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (LIST, "limit=0"),
        (LIST, "limit=101"),
        (LIST, "limit=x"),
        (LIST, "user_id=0198a3f2-6c1e-7d4a-9b57-2f4c8e6a1d03"),
        (LIST, "from=" + "2" * 41),
        (LIST, "from=2026-01-01&from=2026-01-02"),
        (LIST, "since=2026-01-01"),
        (EXPORT, "format=xlsx"),
        (EXPORT, "format="),
        (EXPORT, "limit=5"),
        (EXPORT, "cursor=0"),
        (EXPORT, "to=%00"),
    ],
)
def test_a_bad_query(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], path: str, query: str) -> None:
    response = client.get(f"{path}?{query}", headers=bearer)
    assert (response.status_code, response.json["code"]) == (422, "validation_failed")
    assert not cluster.called("payments_svc.list_transactions")
    assert not cluster.called("payments_svc.export_transactions")


def test_an_export_as_csv_comes_page_by_page(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    pages = [[{**ROW, "amount": number} for number in range(start, start + 3)] for start in (0, 3, 6)]
    cluster.answers["payments_svc.export_transactions"] = paged(pages)
    response = client.get(f"{EXPORT}?from=2026-01-01", headers=bearer)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="transactions.csv"'
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Length" not in response.headers
    *rows, last = csv.DictReader(io.StringIO(response.text, newline=""))
    assert [row["amount"] for row in rows] == [str(number) for number in range(9)]
    assert tuple(rows[0]) == COLUMNS
    assert COLUMNS[0] == "type"
    assert last == {**dict.fromkeys(COLUMNS, ""), "type": "end", "description": "9"}
    asked = cluster.called("payments_svc.export_transactions")
    assert [each.get("cursor") for each in asked] == [None, "1", "2"]
    assert all(each["user_id"] == USER_ID and each["since"] == "2026-01-01" for each in asked)


def test_an_export_as_ndjson(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers["payments_svc.export_transactions"] = paged([[ROW, ROW], [{**ROW, "description": "a\nb\u2028"}]])
    response = client.get(f"{EXPORT}?format=ndjson", headers=bearer)
    assert response.headers["Content-Type"] == "application/x-ndjson"
    lines = response.text.split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == [
        ROW,
        ROW,
        {**ROW, "description": "a\nb\u2028"},
        {"type": "end", "rows": 3},
    ]


def test_an_empty_history_is_complete_too(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers["payments_svc.export_transactions"] = paged([[]])
    assert client.get(f"{EXPORT}?format=ndjson", headers=bearer).text == '{"type":"end","rows":0}\n'
    assert client.get(EXPORT, headers=bearer).text == f"{','.join(COLUMNS)}\r\nend,,,,,,,0,,\r\n"


def test_the_document_shows_a_complete_export(document: dict[str, Any]) -> None:
    told = document["paths"][EXPORT]["get"]
    (*rows, last) = csv.DictReader(io.StringIO(told["responses"]["200"]["content"]["text/csv"]["example"], newline=""))
    assert tuple(last) == COLUMNS
    assert (last["type"], last["description"]) == ("end", str(len(rows)))
    assert all(word in told["description"] for word in ("`end`", "`error`", '{"type":"end","rows":2}'))


def test_only_as_much_is_read_as_is_sent(
    client: FlaskClient, cluster: FakeCluster, app: Flask, bearer: dict[str, str]
) -> None:
    """One page at a time is in memory, however long the history is."""
    cluster.answers["payments_svc.export_transactions"] = paged([[ROW]] * 1000)
    response = unread(app, bearer)
    chunks = response.iter_encoded()
    for number in range(1, 6):
        next(chunks)
        assert len(cluster.called("payments_svc.export_transactions")) <= number + 1
    response.close()
    assert len(cluster.called("payments_svc.export_transactions")) <= 6


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_words_of_customers_are_no_formulas(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], words: str
) -> None:
    row = {**ROW, "description": words, "reference": words, "amount": -5}
    cluster.answers["payments_svc.export_transactions"] = paged([[row]])
    response = client.get(EXPORT, headers=bearer)
    shown, _ = csv.DictReader(io.StringIO(response.text, newline=""))
    assert (shown["description"], shown["reference"], shown["amount"]) == (f"'{words}", f"'{words}", "-5")


@pytest.mark.parametrize("words", ['say "hi", she said', "two\r\nlines", "", "naïve ☃", None])
def test_other_words_stay(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], words: str | None) -> None:
    cluster.answers["payments_svc.export_transactions"] = paged([[{**ROW, "description": words}]])
    shown, _ = csv.DictReader(io.StringIO(client.get(EXPORT, headers=bearer).text, newline=""))
    assert shown["description"] == (words or "")


def test_what_is_wrong_is_said_before_anything_is_sent(
    client: FlaskClient, cluster: FakeCluster, app: Flask, bearer: dict[str, str]
) -> None:
    for error, status in ((Unavailable("away"), 503), (Invalid("no period"), 422)):
        cluster.answers["payments_svc.export_transactions"] = Fault.of(error)
        for _ in range(PER_ACCOUNT + 1):
            # Were the place not given back, the last one would be refused as one too many.
            response = app.test_client().open(EXPORT, headers=bearer)
            assert response.status_code == status
            assert response.json["code"] != "too_many_streams"


def test_too_many_exports_of_one_account_at_once(
    client: FlaskClient, cluster: FakeCluster, configure: Configure, bearer: dict[str, str]
) -> None:
    cluster.answers["payments_svc.export_transactions"] = paged([[ROW]] * 3)
    fresh = configure()
    running = [unread(fresh, bearer) for _ in range(PER_ACCOUNT)]
    refused = fresh.test_client().open(EXPORT, headers=bearer)
    assert (refused.status_code, refused.json["code"]) == (503, "too_many_streams")
    for response in running:
        response.close()
    assert fresh.test_client().open(EXPORT, headers=bearer).status_code == 200


def test_head_sends_nothing_and_keeps_no_place(client: FlaskClient, app: Flask, bearer: dict[str, str]) -> None:
    for _ in range(PER_ACCOUNT + 1):
        response = app.test_client().head(EXPORT, headers=bearer)
        assert (response.status_code, response.data) == (200, b"")

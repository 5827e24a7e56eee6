"""What a stranger tries over HTTP: the whole way through gateway, broker, service and database, nothing faked."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.client import PASSWORD, Client, unique_email
from tests.e2e.mailbox import LINK, Mailbox, text_of
from tests.support.stack import Stack
from tests.support.waiting import eventually

#: 72 bytes, where bcrypt stops reading
BEGINNING = "umbrella lantern gravel "
LONG = (BEGINNING * 3)[:72]
TRACES = re.compile(r"Traceback|psycopg|sqlalchemy|SELECT |INSERT |relation \"|nameko|\.py\b|amqp|kombu", re.IGNORECASE)
#: how a client could say who it is, if anybody listened
CLAIMED = {
    "X-User-Id": "{id}",
    "X-User-Roles": "admin",
    "X-Roles": "admin",
    "X-Forwarded-User": "{id}",
    "X-Actor": "system",
    "Nameko-Actor": "system",
    "nameko.actor": "system",
    "Remote-User": "{id}",
    "Cookie": "session={id}; access_token={id}",
}
#: what an attacker tells about the site's own name
ELSEWHERE = (
    {"Host": "evil.example"},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
    {"Forwarded": "host=evil.example;proto=https", "X-Original-Host": "evil.example", "X-Host": "evil.example"},
    {"Referer": "https://evil.example/", "Origin": "https://evil.example"},
)


def post(stack: Stack, path: str, body: Any, **headers: str) -> requests.Response:
    return requests.post(f"{stack.url}/api/v1{path}", json=body, headers=headers, timeout=20)


def login(stack: Stack, email: str, password: str) -> int:
    return post(stack, "/auth/login", {"email": email, "password": password}).status_code


# --- passwords ---


def test_two_passwords_that_begin_alike_are_two(client: Client, stack: Stack) -> None:
    email = unique_email()
    assert len(LONG.encode()) == 72
    client.register(email=email, password=f"{LONG}-one")
    assert login(stack, email, f"{LONG}-two") == 401
    assert login(stack, email, LONG) == 401
    assert login(stack, email, f"{LONG}-one") == 200


@pytest.mark.parametrize(("length", "status"), [(64, 201), (128, 201), (129, 422), (1024, 422), (1025, 422)])
def test_long_passwords_are_taken_whole_or_refused(stack: Stack, length: int, status: int) -> None:
    email, password = unique_email(), secrets.token_hex(600)[:length]
    answer = post(stack, "/auth/register", {"email": email, "password": password, "name": "Long"})
    assert answer.status_code == status, answer.text
    if status == 201:
        assert login(stack, email, password) == 200
        assert login(stack, email, password[:-1]) == 401
    else:
        assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [("/password", "too_long")]
        assert password not in answer.text
        assert login(stack, email, password) in (401, 422)


def test_letters_are_compared_composed_and_blanks_count(client: Client, stack: Stack) -> None:
    email, password = unique_email(), " Grüße aus Übersee "
    client.register(email=email, password=unicodedata.normalize("NFC", password))
    assert login(stack, email, unicodedata.normalize("NFD", password)) == 200
    for other in (password.strip(), password + " ", password.upper()):
        assert login(stack, email, other) == 401


@pytest.mark.parametrize(
    ("password", "code"),
    [("password123", "common"), ("Maximilian-1985", "personal"), ("short", "too_short")],
)
def test_what_anybody_would_try_is_refused_with_the_reason(stack: Stack, password: str, code: str) -> None:
    body = {"email": unique_email(), "password": password, "name": "Maximilian"}
    answer = post(stack, "/auth/register", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "weak_password")
    assert code in [each["code"] for each in answer.json()["errors"]]


# --- what nobody may say of themselves ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("roles", ["admin"]),
        ("role", "admin"),
        ("is_admin", True),
        ("email_verified", True),
        ("id", "0198a3f2-7a11-7d4a-9b57-2f4c8e6a1d03"),
        ("status", "active"),
        ("user_id", "0198a3f2-7a11-7d4a-9b57-2f4c8e6a1d03"),
        ("created_at", "2020-01-01T00:00:00Z"),
        ("actor", "system"),
        ("not_before", None),
        ("password_hash", "$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYQ"),
    ],
)
def test_nobody_gives_themselves_more_than_they_are_asked_for(stack: Stack, name: str, value: Any) -> None:
    email = unique_email()
    good = {"email": email, "password": PASSWORD, "name": "More"}
    for path, body in (("/auth/register", good), ("/auth/login", {"email": email, "password": PASSWORD})):
        answer = post(stack, path, {**body, name: value})
        assert answer.status_code == 422
        assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(f"/{name}", "unknown_field")]
    # Nothing was made on the way: the address is free.
    made = post(stack, "/auth/register", good)
    assert made.status_code == 201
    me = requests.get(
        f"{stack.url}/auth/me", headers={"Authorization": f"Bearer {made.json()['access_token']}"}, timeout=20
    ).json()
    assert (me["roles"], me["email_verified"], me["status"]) == ([], False, "active")


def test_headers_of_a_client_say_nothing_about_who_it_is(client: Client, stack: Stack) -> None:
    victim = Client(stack.url).register()
    forged = {name: value.format(id=victim.user_id) for name, value in CLAIMED.items()}
    for path in ("/auth/me", "/auth/sessions", "/users/profile", "/payments", "/admin/accounts", "/admin/audit"):
        assert requests.get(f"{stack.url}{path}", headers=forged, timeout=20).status_code == 401
    client.register()
    assert client.get("/auth/me", headers=forged | bearer(client)).json()["id"] == client.user_id
    assert client.get("/users/profile", headers=forged | bearer(client)).json()["id"] == client.user_id
    assert client.get("/admin/accounts", headers=forged | bearer(client)).status_code == 403


def bearer(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.tokens['access_token']}"}


# --- links ---


@pytest.mark.parametrize("headers", ELSEWHERE, ids=lambda headers: next(iter(headers)))
def test_links_in_mails_lead_to_us_whatever_a_request_says(
    stack: Stack, mailbox: Mailbox, headers: dict[str, str]
) -> None:
    email = unique_email()
    body = {"email": email, "password": PASSWORD, "name": "Link"}
    assert post(stack, "/auth/register", body, **headers).status_code == 201
    assert post(stack, "/auth/password/forgot", {"email": email}, **headers).status_code == 202
    for kind in ("verification", "password_reset"):
        text = text_of(mailbox.newest(email, kind))
        link = LINK.search(text)
        assert link is not None
        assert link.group(0).startswith(f"{stack.url}/pages/")
        assert "evil.example" not in text


def objects_in(document: Any) -> Iterator[dict[str, Any]]:
    inside = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    if isinstance(document, dict):
        yield document
    for each in inside:
        yield from objects_in(each)


def test_no_address_of_ours_takes_a_secret(stack: Stack) -> None:
    """What stands in an address ends up in logs, histories and Referer headers."""
    document = requests.get(f"{stack.url}/openapi.json", timeout=20).json()
    # RFC 8058 has no other place for it. It is good for nothing but to end one kind of mail to one person.
    del document["paths"]["/api/v1/users/unsubscribe"]
    named = {each["name"].lower() for each in objects_in(document) if each.get("in") in ("path", "query")}
    assert "cursor" in named
    assert not [name for name in named if re.search(r"token|secret|password|code|key", name)]


# --- answers ---


def test_answers_with_tokens_are_kept_by_nobody(client: Client, stack: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    client.register(email=email)
    again = {"email": email, "password": PASSWORD}
    invited = unique_email()
    requests.post(f"{stack.url}/users", json={"email": invited, "name": "Jane"}, timeout=20)
    claim = {"token": mailbox.token(invited, "claim"), "password": PASSWORD}
    answers = [
        post(stack, "/auth/register", {**again, "email": unique_email(), "name": "Ann"}),
        post(stack, "/auth/login", again),
        post(stack, "/auth/refresh", {"refresh_token": client.tokens["refresh_token"]}),
        post(stack, "/auth/claim", claim),
    ]
    for answer in answers:
        assert answer.json()["access_token"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "poison",
    [
        "' OR '1'='1",
        "'; DROP TABLE accounts; --",
        "%' UNION SELECT password_hash FROM accounts --",
        "{{7*7}}${7*7}",
        "..%2f..%2fetc%2fpasswd",
        "\u0000",
        "\ud800",
        "x" * 5000,
    ],
    ids=lambda text: repr(text[:16]),
)
def test_refusals_tell_nothing_about_the_inside(client: Client, stack: Stack, poison: str) -> None:
    client.register()
    answers = [
        post(stack, "/auth/login", {"email": poison, "password": poison}),
        post(stack, "/auth/register", {"email": f"{poison}@example.com", "password": poison, "name": poison}),
        post(stack, "/auth/refresh", {"refresh_token": poison}),
        post(stack, "/auth/password/reset", {"token": poison, "new_password": PASSWORD}),
        client.post("/auth/email/verify", {"code": poison[:32]}),
        client.get("/auth/security-events", params={"cursor": poison[:500].encode("utf-8", "replace")}),
        client.request("DELETE", f"/auth/sessions/{requests.utils.quote(poison[:200], errors='replace')}"),
    ]
    for answer in answers:
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert TRACES.search(answer.text) is None, answer.text


def test_a_failure_of_ours_is_an_id_and_nothing_else(client: Client, stack: Stack, database: Any) -> None:
    """A table that is not there is a bug's kind of failure: the log has all of it, the answer nothing."""
    client.register()
    statement = "ALTER TABLE {} RENAME TO {}"
    with database("auth") as connection:
        connection.exec_driver_sql(statement.format("email_changes", "email_changes_away"))
        try:
            answer = client.post("/auth/email/change", {"new_email": unique_email(), "current_password": PASSWORD})
        finally:
            connection.exec_driver_sql(statement.format("email_changes_away", "email_changes"))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert TRACES.search(answer.text) is None, answer.text
    assert "email_changes" not in answer.text
    request_id = answer.json()["request_id"]
    eventually(lambda: [line for line in stack.log("auth_svc").splitlines() if request_id in line and "error" in line])

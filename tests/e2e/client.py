"""An HTTP client as an app would have one: remembers its tokens, makes its keys."""

from __future__ import annotations

import secrets
from typing import Any

import requests

PASSWORD = "SecurePass123!"


class Client:
    """Talks to the gateway at `url`; signed in after `register` or `login`."""

    def __init__(self, url: str) -> None:
        self.base = f"{url}/api/v1"
        self.http = requests.Session()
        self.tokens: dict[str, Any] = {}

    @property
    def user_id(self) -> str:
        return str(self.tokens["user"]["id"])

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = dict(options.pop("headers", {}))
        if self.tokens and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.tokens['access_token']}"
        return self.http.request(method, self.base + path, headers=headers, timeout=20, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        return self.request("POST", path, json=json, **options)

    def register(self, *, email: str | None = None, name: str = "John Doe", password: str = PASSWORD) -> Client:
        answer = self.post("/auth/register", {"email": email or unique_email(), "password": password, "name": name})
        assert answer.status_code == 201, answer.text
        self.tokens = answer.json()
        return self

    def login(self, email: str, password: str = PASSWORD, **fields: Any) -> Client:
        answer = self.post("/auth/login", {"email": email, "password": password, **fields})
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()
        return self

    def pay(self, amount: int = 1999, *, key: str | None = None, **fields: Any) -> requests.Response:
        body = {"amount": amount, "currency": "EUR", "payment_method": "tok_visa", **fields}
        return self.post("/payments", body, headers={"Idempotency-Key": key or secrets.token_hex(8)})

    def refund(self, payment_id: str, *, key: str | None = None, **fields: Any) -> requests.Response:
        return self.post(
            f"/payments/{payment_id}/refunds", fields, headers={"Idempotency-Key": key or secrets.token_hex(8)}
        )


def unique_email() -> str:
    return f"john.{secrets.token_hex(6)}@example.com"

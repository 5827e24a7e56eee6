"""The documents at the root: OpenAPI, Swagger UI, and what is well known."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from gateway.routes.documents import ASSETS
from lib.errors import Unavailable
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import Configure, Issuer


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"


def test_the_document_has_every_route_of_the_api_once(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (re.sub(r"<(?:id:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {
        (path, method) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    # What a person sees who opens the link of a mail; programs send POST.
    page = ("/api/v1/users/unsubscribe", "get")
    assert documented | {page} == routes
    assert len(routes) > 60


def test_passwords_and_keys_are_marked_in_the_document(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Registration"]["properties"]["password"]["writeOnly"] is True
    assert schemas["Registration"]["properties"]["email"]["maxLength"] == 254
    assert schemas["Registration"]["additionalProperties"] is False
    (key,) = [
        each
        for each in document["paths"]["/api/v1/payments"]["post"]["parameters"]
        if each.get("name") == "Idempotency-Key"
    ]
    assert key["required"] is True


def test_the_document_names_the_public_address(configure: Configure, cluster: FakeCluster) -> None:
    client = configure(PUBLIC_URL="https://api.example.com/").test_client()
    assert client.get("/openapi.json").json["servers"] == [{"url": "https://api.example.com"}]  # type: ignore[index]


def test_the_docs_load_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|\*", policy)
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    references = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(references) == 4
    for reference in references:
        assert reference.startswith("/docs/")
        assert client.get(reference).status_code == 200
    assert "<script>" not in page.text
    start = client.get("/docs/start.js").text
    assert '"/openapi.json"' in start
    assert "http" not in start
    assert "validatorUrl: null" in start


def test_the_vendored_files_come_with_their_licence() -> None:
    assert "Apache License" in (ASSETS / "LICENSE").read_text()
    assert (ASSETS / "NOTICE").exists()


@pytest.mark.parametrize("name", ["../../app.py", "..%2f..%2fapp.py", "/etc/passwd", "swagger-ui.css/", "."])
def test_the_docs_stay_in_their_folder(client: FlaskClient, name: str) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


def test_the_keys_are_published(client: FlaskClient, issuer: Issuer) -> None:
    response = client.get("/.well-known/jwks.json")
    assert response.status_code == 200
    assert response.mimetype == "application/jwk-set+json"
    assert response.json == issuer.jwks
    assert response.headers["Cache-Control"] == "public, max-age=300"


def test_keys_that_are_not_there_yet_are_503(configure: Configure, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.get_jwks"] = Unavailable("away")
    assert configure().test_client().get("/.well-known/jwks.json").status_code == 503


def test_where_to_change_the_password(client: FlaskClient) -> None:
    response = client.get("/.well-known/change-password", headers={"Host": "evil.example"})
    assert response.status_code == 302
    assert response.headers["Location"] == "http://localhost:3000/pages/forgot-password"
    assert client.get("/pages/forgot-password").status_code == 200


def test_whom_to_tell_about_a_weakness(configure: Configure, cluster: FakeCluster) -> None:
    response = configure(PUBLIC_URL="https://api.example.com").test_client().get("/.well-known/security.txt")
    assert response.content_type == "text/plain; charset=utf-8"
    assert "Contact: mailto:security@api.example.com\n" in response.text
    assert re.search(r"^Expires: \d{4}-\d\d-\d\dT00:00:00Z$", response.text, re.MULTILINE)

"""The OpenAPI document says all that there is to say."""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from marshmallow import Schema

from auth_svc.presentation import audit_schemas, schemas
from gateway.openapi import operation
from gateway.problems import CODES
from gateway.settings import SERVICES
from gateway.shapes import COMPONENTS, EXAMPLES
from lib.errors import DomainError
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import Configure

#: how often in a minute and in a day one address may ask
LIMITS = {
    "/auth/register": (10, 200),
    "/auth/login": (10, 200),
    "/auth/refresh": (300, 20000),
    "/auth/email/verification": (5, 50),
    "/auth/email/verify": (10, 50),
    "/auth/email/change": (5, 50),
    "/auth/email/change/confirm": (10, 50),
    "/auth/email/change/revert": (10, 50),
    "/auth/claim": (10, 50),
    "/auth/password/forgot": (5, 50),
    "/auth/password/reset": (10, 50),
    "/auth/password/change": (10, 50),
    "/auth/introspect": (600, None),
    "/auth/revoke": (600, None),
    "/users": (10, 200),
    "/users/unsubscribe": (600, None),
    "/webhooks/{provider}": (12000, None),
}
#: limited per account, or address where nobody is signed in
PER_ACCOUNT = {
    "get /api/v1/transactions/export",
    *(
        f"{method} /api/v1/users/{{user_id}}/{act}"
        for act in ("follow", "block", "mute")
        for method in ("put", "delete")
    ),
    *(f"post /api/v1/users/follow-requests/{{user_id}}/{act}" for act in ("accept", "reject")),
    "get /api/v1/users",
    "get /api/v1/users/{user_id}",
    *(f"get /api/v1/users/{{user_id}}/{part}" for part in ("followers", "following", "relationship")),
    "get /api/v1/users/relationships",
    "post /api/v1/users/lookup",
    "post /api/v1/payment-methods",
}


def _operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method} {path}": told
        for path, item in document["paths"].items()
        for method, told in item.items()
        if method != "parameters"
    }


def _resolved(document: dict[str, Any], thing: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, if it is one."""
    if "$ref" not in thing:
        return thing
    found = document
    for name in thing["$ref"].split("/")[1:]:
        found = found[name]
    return found


def _parameters(document: dict[str, Any], path: str, told: dict[str, Any]) -> list[dict[str, Any]]:
    given = [*document["paths"][path].get("parameters", ()), *told.get("parameters", ())]
    return [_resolved(document, each) for each in given]


def _expected_statuses(document: dict[str, Any], name: str, told: dict[str, Any]) -> set[str]:
    """Return the statuses that an operation of this kind ends in, from what a client sees of it."""
    method, path = name.split(" ")
    found = {"500", "503", "504"}
    parameters = {each["name"] for each in _parameters(document, path, told) if each["in"] == "query"}
    found |= {"422"} if parameters else set()
    found |= {"400"} if "cursor" in parameters else set()
    if "/webhooks/" in path:
        # Whatever a provider has signed is taken as it came.
        found |= {"400", "413"}
    elif "requestBody" in told:
        found |= {"400", "413", "415"}
        found |= {"422"} if "application/json" in told["requestBody"]["content"] else set()
    if told.get("security"):
        found.add("401")
    if "{" in path:
        found.add("404")
    if path.startswith("/api/v1/admin/"):
        found.add("403")
    if method != "get":
        found.add("409")
    if any("RateLimit" in answer.get("headers", {}) for answer in told["responses"].values()):
        found.add("429")
    return found


def incomplete(document: dict[str, Any]) -> list[str]:
    """Return what a reader of the document would miss."""
    missing = []
    for name, told in _operations(document).items():
        if not told.get("summary"):
            missing.append(f"{name}: no summary")
        statuses = set(told["responses"])
        missing += [f"{name}: no {each}" for each in sorted(_expected_statuses(document, name, told) - statuses)]
        for content in told.get("requestBody", {}).get("content", {}).values():
            if not content.get("example"):
                missing.append(f"{name}: no example of a request")
        for parameter in _parameters(document, name.split(" ")[1], told):
            if parameter["in"] == "header" and "example" not in parameter:
                missing.append(f"{name}: no example of {parameter['name']}")
        for status, answer in told["responses"].items():
            resolved = _resolved(document, answer)
            contents = resolved.get("content", {})
            if status.startswith("2") and status != "204" and "example" not in next(iter(contents.values()), {}):
                missing.append(f"{name}: no example of {status}")
            if status >= "400":
                examples = contents["application/problem+json"].get("examples", {})
                codes = set(re.findall(r"^- `([a-z_]+)`: ", resolved["description"], re.MULTILINE))
                if not codes:
                    missing.append(f"{name}: no code for {status}")
                if {each["value"]["code"] for each in examples.values()} != codes:
                    missing.append(f"{name}: no example for a code of {status}")
    return missing


def test_every_operation_is_told_in_full(document: dict[str, Any]) -> None:
    assert incomplete(document) == []


def _changed(document: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> list[str]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    change(copy)
    return incomplete(copy)


def test_what_is_left_out_is_noticed(document: dict[str, Any]) -> None:
    paths = document["paths"]
    for name, told in _operations(document).items():
        method, path = name.split(" ")
        for status in set(told["responses"]) & _expected_statuses(document, name, told):
            answers = {each: told["responses"][each] for each in told["responses"] if each != status}
            part = {**document, "paths": {path: {**paths[path], method: {**told, "responses": answers}}}}
            assert f"{name}: no {status}" in incomplete(part)
    login = "/api/v1/auth/login"
    assert _changed(document, lambda copy: copy["paths"][login]["post"].pop("summary")) == [f"post {login}: no summary"]
    assert _changed(
        document, lambda copy: copy["paths"][login]["post"]["requestBody"]["content"]["application/json"].pop("example")
    ) == [f"post {login}: no example of a request"]
    assert _changed(
        document,
        lambda copy: copy["paths"][login]["post"]["responses"]["200"]["content"]["application/json"].pop("example"),
    ) == [f"post {login}: no example of 200"]
    assert _changed(
        document,
        lambda copy: copy["paths"][login]["post"]["responses"]["401"].update(description="Nobody is asking."),
    ) == [f"post {login}: no code for 401", f"post {login}: no example for a code of 401"]


def test_statuses_may_be_named_without_codes(app: Flask) -> None:
    @operation(gives=(204, None), errors=(404,))
    def view() -> None:
        """Do it"""

    responses = view._apidoc["manual_doc"]["responses"]  # type: ignore[attr-defined]
    assert set(responses) == {"204", "404", "409", "500", "503", "504"}
    assert responses["404"]["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_a_code_that_nobody_has_explained_is_refused() -> None:
    with pytest.raises(KeyError, match="no_such_code"):
        operation(gives=(204, None), errors={404: ("no_such_code",)})(lambda: None)


#: refusals that no client of the API meets
NOT_OVER_HTTP = {
    # of commands
    "account_not_active",
    "client_not_found",
    "invalid_client_name",
    "invalid_day",
    "invalid_head",
    "key_too_new",
    "signing_key_exists",
    "signing_key_not_found",
    # about arguments that the gateway has checked, or made itself
    "invalid_argument",
    "invalid_limit",
    "invalid_request_key",
    "invalid_scope",
    "invalid_session_id",
    "too_many_ids",
    "unknown_field",
    "unknown_kind",
    "unknown_status",
    # of what is stored, to be looked at by operators
    "invalid_notice",
    "notice_not_found",
    "notice_not_parked",
    # of workers
    "broker_unavailable",
    "illegal_payment_transition",
    "illegal_refund_transition",
    "mail_refused",
    "mail_unavailable",
    "publish_unconfirmed",
    "unroutable",
    # of what is not part of the API
    "metrics_token_needed",
}


def _refusals(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _refusals(each)


def test_every_refusal_of_ours_is_told(document: dict[str, Any]) -> None:
    for layer in (f"{service}.{layer}" for service in SERVICES for layer in ("domain", "application")):
        for module in pkgutil.walk_packages(import_module(layer).__path__, f"{layer}."):
            import_module(module.name)
    ours = {
        each.code
        for each in _refusals(DomainError)
        if each.__module__.startswith((*SERVICES, "gateway.", "lib.")) and each.__module__ != "lib.errors"
    }
    assert len(ours) > 60
    told = set(re.findall(r"- `([a-z_]+)`: ", json.dumps(document)))
    assert ours - NOT_OVER_HTTP <= told
    assert set(CODES) == told


def test_limited_routes_document_that(document: dict[str, Any]) -> None:
    limited = {name for name, told in _operations(document).items() if "429" in told["responses"]}
    assert limited == {f"post /api/v1{path}" for path in LIMITS} | PER_ACCOUNT


def test_routes_are_limited_as_agreed(configure: Configure, cluster: FakeCluster) -> None:
    client = configure(RATE_LIMITS="on").test_client()
    cluster.answers["payments_svc.receive_webhook"] = {"new": True}
    for path, (minute, day) in LIMITS.items():
        policy = client.post(f"/api/v1{path}".format(provider="sandbox")).headers["RateLimit-Policy"]
        assert policy == f'"minute";q={minute};w=60' + (f', "day";q={day};w=86400' if day else ""), path


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(
        {**schema, "components": document["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def test_the_examples_of_components_fit_their_schemas(document: dict[str, Any]) -> None:
    assert set(EXAMPLES) | {"Problem"} == set(COMPONENTS)
    for name, example in EXAMPLES.items():
        _validator(document, {"$ref": f"#/components/schemas/{name}"}).validate(example)


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    checked = 0
    for name, told in _operations(document).items():
        contents = [told.get("requestBody", {}).get("content", {})]
        contents += [_resolved(document, each).get("content", {}) for each in told["responses"].values()]
        for content in (each for some in contents for each in some.values()):
            validator = _validator(document, content["schema"])
            for example in [content["example"]] if "example" in content else []:
                validator.validate(example)
                checked += 1
            for problem in content.get("examples", {}).values():
                validator.validate(problem["value"])
                checked += 1
        for parameter in _parameters(document, name.split(" ")[1], told):
            for example in [parameter["example"]] if "example" in parameter else []:
                _validator(document, parameter["schema"]).validate(example)
                checked += 1
    assert checked > 500


@pytest.mark.parametrize(
    ("component", "schema"),
    [
        ("User", schemas.UserSchema),
        ("Account", schemas.AccountSchema),
        ("Tokens", schemas.TokensSchema),
        ("Session", audit_schemas.SessionSchema),
        ("SecurityEvent", audit_schemas.SecurityEventSchema),
        ("AuditEvent", audit_schemas.AuditEventSchema),
        ("AdminAccount", audit_schemas.AccountRowSchema),
    ],
)
def test_the_document_and_the_service_name_the_same_members(component: str, schema: type[Schema]) -> None:
    assert set(COMPONENTS[component]["properties"]) == set(schema().fields)


def test_a_problem_stands_under_its_own_status(document: dict[str, Any]) -> None:
    for name, told in _operations(document).items():
        for status, answer in told["responses"].items():
            for content in _resolved(document, answer).get("content", {}).values():
                for code, problem in content.get("examples", {}).items():
                    assert (problem["value"]["status"], problem["value"]["code"]) == (int(status), code), name


def test_programs_authenticate_by_basic_or_in_the_form(document: dict[str, Any]) -> None:
    for path in ("/api/v1/auth/introspect", "/api/v1/auth/revoke"):
        told = document["paths"][path]["post"]
        assert told["security"] == [{"client": []}, {}]
        assert set(told["requestBody"]["content"]) == {"application/x-www-form-urlencoded"}
        problem = _resolved(document, told["responses"]["401"])["content"]["application/problem+json"]
        assert problem["examples"]["invalid_client"]["value"]["error"] == "invalid_client"
        assert "422" not in told["responses"]
    assert document["components"]["securitySchemes"]["client"]["scheme"] == "basic"

"""Every place of every request that the OpenAPI document knows, for tests that put the same thing into each of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

JSON, FORM = "application/json", "application/x-www-form-urlencoded"

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Operation:
    """:param path: with ``{names}`` for ids"""

    method: str
    path: str
    told: Mapping[str, Any]
    parameters: tuple[Mapping[str, Any], ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def url(self, id: str) -> str:
        """Return the address with one id wherever one is needed."""
        url = self.path
        while "{" in url:
            url = f"{url[: url.index('{')]}{id}{url[url.index('}') + 1 :]}"
        return url

    def body(self, media_type: str = JSON) -> tuple[Mapping[str, Any], dict[str, Any]] | None:
        """Return the schema of the body with its example; None if it takes none of the type."""
        content = self.told.get("requestBody", {}).get("content", {}).get(media_type)
        return None if content is None else (content["schema"], content["example"])

    @property
    def query(self) -> list[str]:
        return [each["name"] for each in self.parameters if each["in"] == "query"]


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Return all that the document has."""
    found = []
    for path, item in document["paths"].items():
        for method, told in item.items():
            if method in ("get", "post", "put", "patch", "delete"):
                given = [*item.get("parameters", ()), *told.get("parameters", ())]
                parameters = tuple(resolved(document, each) for each in given)
                found.append(Operation(method.upper(), path, told, parameters))
    return found


def resolved(document: Mapping[str, Any], thing: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference, if it is one."""
    while "$ref" in thing:
        found: Any = document
        for name in thing["$ref"].split("/")[1:]:
            found = found[name]
        thing = found
    return thing


def places(document: Mapping[str, Any], schema: Mapping[str, Any], at: Path = ()) -> Iterator[Path]:
    """Give a path to every member of a body, at any depth."""
    schema = resolved(document, schema)
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from places(document, part, at)
    for name, each in schema.get("properties", {}).items():
        yield (*at, name)
        yield from places(document, each, (*at, name))
    if isinstance(schema.get("additionalProperties"), dict):
        yield (*at, "anything")
    if "items" in schema:
        yield (*at, 0)
        yield from places(document, schema["items"], (*at, 0))


def put(body: Any, path: Path, value: Any) -> Any:
    """Return a copy of the body with the value in that place; what is missing on the way is made."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        items = list(body) if isinstance(body, list) and body else [None]
        return [put(items[0], rest, value), *items[1:]]
    members = copy.deepcopy(body) if isinstance(body, dict) else {}
    return members | {step: put(members.get(step), rest, value)}


def pointer(path: Path) -> str:
    """Return the JSON pointer to a place."""
    return "".join(f"/{str(each).replace('~', '~0').replace('/', '~1')}" for each in path)

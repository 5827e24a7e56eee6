"""What the shapes are made of: JSON Schema 2020-12, as OpenAPI 3.1 has it."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

USER_ID = "0198a3f2-6c1e-7d4a-9b57-2f4c8e6a1d03"
SESSION_ID = "0198a3f2-7000-7d4a-9b57-2f4c8e6a1d03"
WHEN = "2026-01-31T12:00:00.123456Z"


def text(**more: Any) -> Schema:
    """Return a string's schema."""
    return {"type": "string", **more}


def maybe(**more: Any) -> Schema:
    """Return the schema of a string that may be null."""
    return {"type": ["string", "null"], **more}


def thing(required: list[str] | None = None, /, **properties: Schema) -> Schema:
    """Return an object's schema; all of its members are there unless `required` says which are."""
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


def ref(name: str) -> Schema:
    """Return a reference to a component of this package."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str) -> Schema:
    """Return a list that comes whole."""
    return thing(data={"type": "array", "items": ref(name)})


def page_of(name: str) -> Schema:
    """Return a list in pages."""
    return thing(
        data={"type": "array", "items": ref(name)},
        next_cursor=maybe(description="Send it as `cursor` for the next page; null on the last one"),
    )


ID = text(format="uuid", examples=[USER_ID])
TIME = text(format="date-time", examples=[WHEN])

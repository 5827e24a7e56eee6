"""Errors: problem documents (RFC 9457)."""

from __future__ import annotations

from gateway.shapes.parts import Schema, text, thing

COMPONENTS: dict[str, Schema] = {
    "Problem": thing(
        ["type", "title", "status", "detail", "code", "request_id"],
        type=text(format="uri-reference"),
        title=text(),
        status={"type": "integer"},
        detail=text(description="For people"),
        code=text(pattern="^[a-z0-9_]+$", description="For programs: it does not change"),
        request_id=text(),
        errors={
            "type": "array",
            "items": thing(
                pointer=text(description="A JSON pointer to the member of the request; empty for the whole"),
                code=text(),
                detail=text(),
            ),
        },
        error=text(description="The code once more, where RFC 6749, section 5.2, wants it: at introspect and revoke"),
    ),
}

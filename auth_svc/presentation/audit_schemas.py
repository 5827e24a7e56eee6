"""Lists and records as they leave the service: JSON-able, ids and times as strings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from marshmallow import Schema, fields

from auth_svc.application.list_revocations import Revocations
from auth_svc.application.pages import Page, Row
from lib.ids import rfc3339

#: personal data that has a field of its own
WHENCE = ("ip", "user_agent", "reason")


class Moment(fields.Field[datetime]):
    """A time as ``2026-01-31T12:00:00Z``."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return None if value is None else rfc3339(value)


class PersonalSchema(Schema):
    """Where somebody was, as far as that is known and may be shown."""

    ip = fields.Function(lambda row: row["personal"].get("ip"))
    user_agent = fields.Function(lambda row: row["personal"].get("user_agent"))


class SecurityEventSchema(PersonalSchema):
    """An entry of the audit trail as the account's owner sees it."""

    id = fields.String()
    kind = fields.String()
    outcome = fields.String()
    occurred_at = Moment()
    session_id = fields.String()
    device = fields.String()
    request_id = fields.String()
    details = fields.Raw()


class AuditEventSchema(SecurityEventSchema):
    """… and as administrators see it."""

    account_id = fields.String()
    actor_kind = fields.String()
    actor_id = fields.String()
    reason = fields.Function(lambda row: row["personal"].get("reason"))
    personal = fields.Function(
        lambda row: {name: value for name, value in row["personal"].items() if name not in WHENCE}
    )


class SessionSchema(Schema):
    id = fields.String()
    device = fields.String()
    user_agent = fields.String()
    ip = fields.String()
    created_at = Moment()
    last_seen_at = Moment()
    current = fields.Boolean()


class AccountRowSchema(Schema):
    """An account in a list, as administrators see it."""

    id = fields.String()
    email = fields.String()
    name = fields.String()
    email_verified = fields.Boolean()
    status = fields.String()
    roles = fields.List(fields.String())
    disabled_reason = fields.String()
    created_at = Moment()
    last_login_at = Moment()


class RevocationsSchema(Schema):
    sessions = fields.Raw()
    accounts = fields.Raw()
    next_cursor = fields.String()


# Made once: a schema copies all of its fields when it is made, which costs more than to dump one object.
_SECURITY_EVENTS, _AUDIT_EVENTS = SecurityEventSchema(many=True), AuditEventSchema(many=True)
_SESSIONS, _ACCOUNTS, _REVOCATIONS = SessionSchema(many=True), AccountRowSchema(many=True), RevocationsSchema()


def security_events_dump(page: Page) -> dict[str, Any]:
    return _page(_SECURITY_EVENTS, page)


def audit_events_dump(page: Page) -> dict[str, Any]:
    return _page(_AUDIT_EVENTS, page)


def accounts_dump(page: Page) -> dict[str, Any]:
    return _page(_ACCOUNTS, page)


def sessions_dump(rows: list[Row]) -> dict[str, Any]:
    return {"data": _SESSIONS.dump(rows)}


def revocations_dump(revocations: Revocations) -> dict[str, Any]:
    return _REVOCATIONS.dump(revocations)  # type: ignore[no-any-return]


def _page(schema: Schema, page: Page) -> dict[str, Any]:
    return {"data": schema.dump(page.data), "next_cursor": page.next_cursor}

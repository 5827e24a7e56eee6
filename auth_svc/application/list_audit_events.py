"""An administrator reads the audit trail."""

from __future__ import annotations

from uuid import UUID

from auth_svc.application.pages import Page, page
from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from lib.errors import Invalid

LONGEST_KIND = 64


class InvalidFilter(Invalid):
    code = "invalid_filter"

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail, errors=[{"pointer": pointer, "code": self.code, "detail": detail}])


def list_audit_events(
    ports: Ports,
    *,
    account_id: str | None = None,
    actor_id: str | None = None,
    kind: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> Page:
    """Return entries, newest first.

    :param account_id: whom they are about
    :param actor_id: who acted
    :param kind: what happened, like ``password.changed``
    """
    account, actor = _id(account_id, "/account_id"), _id(actor_id, "/actor_id")
    if kind is not None and not (isinstance(kind, str) and 1 <= len(kind) <= LONGEST_KIND and kind.isprintable()):
        raise InvalidFilter("/kind", "a kind is a word like password.changed")
    return page(
        lambda at_most, before: ports.reads.audit_events(
            account_id=account, actor_id=actor, kind=kind, before=before, at_most=at_most
        ),
        of=f"audit:{account}:{actor}:{kind}",
        limit=limit,
        cursor=cursor,
    )


def _id(text: str | None, pointer: str) -> UUID | None:
    return None if text is None else parse_id(text, InvalidFilter(pointer, "an id is a UUID"))

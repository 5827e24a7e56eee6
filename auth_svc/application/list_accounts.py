"""An administrator looks for accounts."""

from __future__ import annotations

import unicodedata
from typing import get_args

from auth_svc.application.pages import Page, page
from auth_svc.application.ports import Ports
from auth_svc.domain.account import Status
from auth_svc.domain.email import MAX_LENGTH
from auth_svc.domain.roles import USER, proper_role
from auth_svc.domain.text import UnreadableError, nfc
from lib.errors import Invalid

STATUSES = get_args(Status)


class InvalidQuery(Invalid):
    code = "invalid_query"


class UnknownStatus(Invalid):
    code = "unknown_status"


def list_accounts(
    ports: Ports,
    *,
    query: str | None = None,
    status: str | None = None,
    role: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> Page:
    """Return accounts, newest first.

    :param query: a part of the name, or the start of the e-mail address
    """
    text, wanted = _proper_query(query), None if role is None else proper_role(role)
    if status is not None and status not in STATUSES:
        detail = f"the status is one of {', '.join(STATUSES)}"
        raise UnknownStatus(detail, errors=[{"pointer": "/status", "code": UnknownStatus.code, "detail": detail}])
    return page(
        lambda at_most, before: ports.reads.accounts(
            query=text, status=status, role=None if wanted == USER else wanted, before=before, at_most=at_most
        ),
        of=f"accounts:{status}:{wanted}:{text}",
        limit=limit,
        cursor=cursor,
    )


def _proper_query(query: object) -> str | None:
    if query is None:
        return None
    try:
        text = nfc(query, at_most=MAX_LENGTH).strip()
    except UnreadableError as exc:
        raise _invalid_query() from exc
    if len(text) > MAX_LENGTH or any(unicodedata.category(each) == "Cc" for each in text):
        raise _invalid_query()
    return text or None


def _invalid_query() -> InvalidQuery:
    detail = f"a query has at most {MAX_LENGTH} characters and no control characters"
    return InvalidQuery(detail, errors=[{"pointer": "/query", "code": InvalidQuery.code, "detail": detail}])

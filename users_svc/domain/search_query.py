"""What somebody may look for, and what their words mean."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self

from lib.errors import Invalid
from users_svc.domain.invisible import without_invisible
from users_svc.domain.text import address_key, folded

Sort = Literal["relevance", "newest", "name"]

MAX_QUERY = 254
"""Longest text, in code points: that of an e-mail address."""

MAX_WORDS = 8

_TRIGRAM = 3

# Controls (NUL among them, which PostgreSQL cannot store) and lone surrogates (which UTF-8 cannot): nobody types them.
_REFUSED = frozenset({"Cc", "Cs"})


class InvalidQuery(Invalid):
    code = "invalid_query"


class InvalidSort(Invalid):
    code = "invalid_sort"


class InvalidSearchFilter(Invalid):
    code = "invalid_search_filter"


@dataclass(frozen=True)
class SearchQuery:
    """What is looked for, folded as the profiles are.

    Of `email`, `prefix` and `words` one says how: an address is looked for as a whole, a text too short for trigrams
    as the start of a handle or a name, every other text as words.

    :param text: all of it, folded; empty for everybody
    :param email: the address, as it is compared
    :param prefix: whether only the start of a handle or of a name counts
    :param words: each of them is in the handle or in the name
    """

    text: str = ""
    email: str | None = None
    prefix: bool = False
    words: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read what somebody has typed; `InvalidQuery` for what cannot be looked for."""
        if value is None:
            return cls()
        if not isinstance(value, str) or len(value) > MAX_QUERY:
            raise _invalid_query(f"a query is text of at most {MAX_QUERY} characters")
        if any(unicodedata.category(each) in _REFUSED for each in value):
            raise _invalid_query("a query has no control characters")
        # As names are kept; what is invisible comes along when somebody copies one.
        text = folded(without_invisible(value))
        if len(text) > MAX_QUERY:
            raise _invalid_query(f"a query has at most {MAX_QUERY} characters when it is written out")
        if is_address(text):
            return cls(text, email=address_key(without_invisible(value).strip()))
        # A handle is often written with the sign in front of it.
        text = text.removeprefix("@").strip()
        if not has_trigram(text):
            return cls(text, prefix=bool(text))
        words = tuple(dict.fromkeys(text.split()))
        if len(words) > MAX_WORDS:
            raise _invalid_query(f"a query has at most {MAX_WORDS} words")
        return cls(text, words=words)


@dataclass(frozen=True)
class SearchFilters:
    """What those have in common who are found; all of it is what everybody may see.

    :param joined_after: came then or later
    :param joined_before: came before
    :param following: only people whom the viewer follows
    """

    joined_after: datetime | None = None
    joined_before: datetime | None = None
    following: bool = False

    @classmethod
    def parse(cls, *, joined_after: object, joined_before: object, following: object) -> Self:
        """Read the filters; `InvalidSearchFilter` for what is none."""
        if not isinstance(following, bool):
            raise _invalid_filter("following", "true or false")
        return cls(
            joined_after=_moment("joined_after", joined_after),
            joined_before=_moment("joined_before", joined_before),
            following=following,
        )


def is_address(text: str) -> bool:
    """Tell whether a text looks like a whole e-mail address; what is none is nobody's."""
    local, at, domain = text.rpartition("@")
    return bool(local and at and "." in domain.strip(".")) and " " not in text


def has_trigram(text: str) -> bool:
    """Tell whether three letters or digits stand in a row: only these lead to the people who have them."""
    run = 0
    for each in text:
        run = run + 1 if each.isalnum() else 0
        if run == _TRIGRAM:
            return True
    return False


def proper_sort(value: object, query: SearchQuery) -> Sort:
    """Return the order of the answer: by relevance where something is looked for, else the newest first."""
    if value is None:
        return "relevance" if query.text else "newest"
    if value == "relevance" and query.text:
        return "relevance"
    if value == "newest":
        return "newest"
    if value == "name":
        return "name"
    detail = "the sort is newest or name, and with a query also relevance"
    raise InvalidSort(detail, errors=[{"pointer": "/sort", "code": InvalidSort.code, "detail": detail}])


def _moment(name: str, value: object) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)  # type: ignore[arg-type]  # another type is as wrong as another text
        # A day begins in UTC, as all days here. Near the ends of the calendar, another zone has no such moment.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as exc:
        raise _invalid_filter(name, "a day, as 2026-01-31, or a time, as 2026-01-31T12:00:00Z") from exc


def _invalid_filter(name: str, detail: str) -> InvalidSearchFilter:
    return InvalidSearchFilter(
        f"{name} is {detail}", errors=[{"pointer": f"/{name}", "code": InvalidSearchFilter.code, "detail": detail}]
    )


def _invalid_query(detail: str) -> InvalidQuery:
    return InvalidQuery(detail, errors=[{"pointer": "/query", "code": InvalidQuery.code, "detail": detail}])

"""How somebody likes things to look, and how they want to be dealt with."""

from __future__ import annotations

import re

from lib.errors import NotFound
from users_svc.domain.notification_preferences import NOTIFICATION_PREFERENCES
from users_svc.domain.preference_records import Choice, Kind, PreferenceRecord, Refused, flag, text, whole, word

LONGEST_TAG = 35

# BCP 47: language, script, region, variants. Extensions and private use say nothing about a language.
_TAG = re.compile(
    r"[A-Za-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*"
)


class UnknownKind(NotFound):
    code = "unknown_kind"


def language(value: object) -> str:
    """A language tag, in the usual case: ``de-Latn-CH``."""
    tag = text(value)
    if len(tag) > LONGEST_TAG or not _TAG.fullmatch(tag):
        raise Refused("invalid_language", "expected a language like en or de-CH")
    first, *others = tag.lower().split("-")
    return "-".join([first, *(_cased(each) for each in others)])


def _cased(subtag: str) -> str:
    if len(subtag) == 2:
        return subtag.upper()
    return subtag.title() if subtag.isalpha() and len(subtag) == 4 else subtag


PREFERENCES = Kind(
    "preferences",
    {
        "theme": Choice("system", word("system", "light", "dark")),
        "language": Choice("en", language),
        "time_format": Choice("24h", word("12h", "24h")),
        "date_format": Choice("YYYY-MM-DD", word("YYYY-MM-DD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY")),
        "start_of_week": Choice("monday", word("monday", "saturday", "sunday")),
        "items_per_page": Choice(20, whole(1, 100)),
    },
)

SETTINGS = Kind(
    "settings",
    {
        "show_online": Choice(True, flag),
        "allow_mentions_from": Choice("everyone", word("everyone", "followers", "nobody")),
        "auto_accept_follow_requests": Choice(False, flag),
        "hide_network": Choice(False, flag),
    },
)

KINDS: dict[str, Kind] = {each.name: each for each in (PREFERENCES, SETTINGS, NOTIFICATION_PREFERENCES)}


def parse_kind(name: object) -> Kind:
    """Return the kind of record that is called so."""
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnknownKind("there is no such kind of preferences")
    return kind


def accepts_followers(record: PreferenceRecord) -> bool:
    """Tell whether a record says that whoever asks to follow its owner does so at once."""
    return record.kind is SETTINGS and record.values()["auto_accept_follow_requests"]

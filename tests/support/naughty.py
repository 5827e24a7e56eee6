"""Strings that make trouble, by name: each is either kept as the rules say or refused cleanly, wherever text goes in.

Written out for this project. Lone surrogates cannot be sent as UTF-8; `json_body` sends them as JSON's escapes do.
"""

from __future__ import annotations

import json
from typing import Any

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"

NAUGHTY: dict[str, str] = {
    # Nothing, or what looks like it.
    "empty": "",
    "space": " ",
    "many spaces": " " * 50,
    "no-break space": "\u00a0",
    "ideographic space": "\u3000",
    "tab": "\t",
    "newline": "\n",
    "lines": "one\r\ntwo\rthree\nfour",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "next line": "a\u0085b",
    # Controls, and what UTF-8 or PostgreSQL cannot keep.
    "NUL": "a\x00b",
    "NUL alone": "\x00",
    "bell and backspace": "a\x07\x08b",
    "escape sequence": "\x1b[31mred\x1b[0m",
    "delete": "a\x7fb",
    "C1 control": "a\x9bb",
    "high surrogate": "a\ud83d",
    "low surrogate": "\ude00a",
    "surrogates the wrong way round": "\ude00\ud83d",
    "noncharacter": "a\uffffb",
    "noncharacter of plane 16": "a\U0010ffffb",
    "replacement character": "a\ufffdb",
    "private use": "a\ue000b",
    "unassigned": "a\u0378b",
    # Invisible.
    "zero-width space": "a\u200bb",
    "zero-width space alone": "\u200b",
    "zero-width non-joiner": "a\u200cb",
    "zero-width joiner": "a\u200db",
    "zero-width joiners only": "\u200d" * 20,
    "byte order mark": "\ufeffa",
    "soft hyphen": "a\u00adb",
    "word joiner": "a\u2060b",
    "combining grapheme joiner": "a\u034fb",
    "Hangul filler": "\u3164",
    "Braille blank": "\u2800",
    "tags": "a\U000e0061\U000e0062b",
    "variation selector on a letter": "a\ufe0fb",
    # Direction.
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "Persian with a joiner": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "direction override": "\u202egnp.exe\u202c",
    "isolates": "\u2066a\u2069\u2067b\u2069",
    "unclosed isolates": "\u2067" * 20 + "a",
    "direction marks": "\u200ea\u200fb\u061c",
    # Emoji.
    "emoji": "\U0001f407",
    "family": FAMILY,
    "families": FAMILY * 64,
    "skin tone": "\U0001f44d\U0001f3fd",
    "flag": "\U0001f1e8\U0001f1ed",
    "flag of England": ENGLAND,
    "half a flag": "\U0001f1e8",
    "keycap": "1\ufe0f\u20e3",
    "heart": "\u2764\ufe0f",
    "rainbow flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    # Letters.
    "Devanagari": "\u0915\u094d\u200d\u0937",
    "Thai": "\u0e01\u0e33\u0e49",
    "Chinese variant": "\u845b\U000e0100",
    "decomposed": "Zoe\u0308",
    "stacked marks": "Z" + "\u0335\u0321\u0322\u0327\u0316" * 20,
    "a thousand marks": "e" + "\u0301" * 1000,
    "ligature": "\ufb01ne",
    "Arabic ligature": "\ufdfa" * 10,
    "dotless and dotted": "\u0131I\u0130i",
    "sharp s": "Stra\u1e9ee stra\u00dfe",
    "fullwidth": "\uff21\uff44\uff4d\uff49\uff4e",
    "Cyrillic that looks Latin": "\u0430dmin",
    "mathematical": "\U0001d4d0\U0001d4f7\U0001d4f7",
    "upside down": "\u0250\u0287\u0131\u0283",
    "superscripts": "\u00b9\u00b2\u00b3",
    # Meant for somebody else's parser.
    "SQL": "'; DROP TABLE profiles; --",
    "SQL or": "1' OR '1'='1",
    "LIKE": "100%_\\",
    "psycopg": "%s %(id)s %%",
    "PostgreSQL array": "{1,2}",
    "HTML": "<b>bold</b> & <script>alert(1)</script>",
    "HTML attribute": "\" onmouseover='alert(1)",
    "HTML entity": "&lt;b&gt; &#0; &amp;",
    "markdown": "[a](javascript:alert(1)) **b**",
    "javascript": "javascript:alert(1)",
    "data URL": "data:text/html,<script>alert(1)</script>",
    "XML entity": '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "format": "%s%s%n%x {0} {} {self.__class__} ${jndi:ldap://x} #{7*7} {{7*7}}",
    "shell": "$(touch harm) `id` | cat; rm -rf /",
    "path": "../../../../etc/passwd",
    "Windows path": "C:\\con\\nul",
    "header": "a\r\nSet-Cookie: a=b",
    "JSON": '{"a": [null, true]}',
    "escapes": "\\u0000 \\ud800 \\n \\\\",
    "backslash": "\\",
    "quotes": "'\"`\u2018\u2019\u201c\u201d",
    "regular expression": "(a+)+$[",
    "spreadsheet": "=1+1|cmd",
    # Words that programs take for something.
    "null": "null",
    "undefined": "undefined",
    "NaN": "NaN",
    "true": "true",
    "zero": "0",
    "minus one": "-1",
    "huge number": "9" * 400,
    "float": "1e999",
    "UUID": "00000000-0000-0000-0000-000000000000",
    # Long.
    "a line": "a" * 300,
    "64 letters": "a" * 64,
    "65 letters": "a" * 65,
    "a megabyte": "a" * 1_000_000,
    "a megabyte of marks": "e" + "\u0301" * 500_000,
    "a megabyte of emoji": FAMILY * 40_000,
}


def json_body(data: Any) -> bytes:
    """Return `data` as JSON in ASCII, lone surrogates escaped: what a client can send that Python's own cannot."""
    return json.dumps(data, ensure_ascii=True).encode("ascii")


def has_surrogate(text: str) -> bool:
    """Tell whether a text holds half of a surrogate pair."""
    return any("\ud800" <= each <= "\udfff" for each in text)

"""Characters that nobody sees, which make two names look like one or a text read differently from what it says."""

from __future__ import annotations

import regex  # type: ignore[import-untyped]

# Where an invisible character is part of the spelling: between the parts of an emoji, in flags of regions, as the
# variant of a character, and as joiners of scripts that need them (as in RFC 5892, appendix A.1 and A.2).
_SPELLING = r"""
    (?<=\p{Extended_Pictographic}[\uFE0F\U0001F3FB-\U0001F3FF]?)\u200D(?=\p{Extended_Pictographic})
    | (?<=\p{Emoji})[\uFE0E\uFE0F]
    | (?<=\U0001F3F4)[\U000E0020-\U000E007E]{1,8}\U000E007F
    | (?<=\p{Han})[\uFE00-\uFE02\U000E0100-\U000E01EF]
    | (?<=\p{Mongolian})[\u180B-\u180D\u180F]
    | (?<=\p{Canonical_Combining_Class=Virama})[\u200C\u200D]
    | (?<=[\p{Arabic}\p{Syriac}\p{Mongolian}])\u200C(?=[\p{Arabic}\p{Syriac}\p{Mongolian}])
"""
# Default_Ignorable_Code_Point has the zero-width characters, the direction controls and the fillers of Hangul. The rest
# are marks of annotations, and a Braille pattern without dots.
_INVISIBLE = regex.compile(rf"({_SPELLING}) | [\p{{Default_Ignorable_Code_Point}}\uFFF9-\uFFFB\u2800]", regex.VERBOSE)


def without_invisible(text: str) -> str:
    """Return the text without characters that nobody sees, but for those that belong to how something is written."""
    return text if text.isascii() else str(_INVISIBLE.sub(r"\1", text))

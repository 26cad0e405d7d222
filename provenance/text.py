"""One border for strings that come from files: what may be shown, and how."""

from __future__ import annotations

import unicodedata

from assay.provenance.limits import DEFAULT_LIMITS

# Unicode categories that draw nothing themselves but change what is drawn: controls (C0, C1, DEL), format
# characters (bidirectional overrides, zero-width joiners), surrogates, private use, line and paragraph separators.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def safe_text(value: object, limit: int = DEFAULT_LIMITS.string_chars) -> str:
    """Return ``value`` as one line that a terminal, a log or a page can show without being changed by it.

    Every character of Unicode category Cc, Cf, Cs, Co, Zl or Zp, and every noncharacter, which XML may not hold,
    becomes ``\\u{hex}`` so that nothing is hidden (U+FFFD is kept); the result has at most ``limit`` characters plus
    a note of how many were cut.
    HTML, CSV and markup escaping is the writer's job, on top of this.
    """
    text = str(value)
    cut = len(text) - limit
    if cut > 0:
        text = text[:limit]
    shown = "".join(f"\\u{{{ord(c):x}}}" if _is_unshown(c) else c for c in text)
    return f"{shown}… (+{cut} characters)" if cut > 0 else shown


def _is_unshown(character: str) -> bool:
    number = ord(character)
    noncharacter = number & 0xFFFE == 0xFFFE or 0xFDD0 <= number <= 0xFDEF
    return noncharacter or unicodedata.category(character) in _UNSHOWN

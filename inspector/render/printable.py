"""Words from a file made fit to print: nothing in a name may steer a terminal, or break a table."""

from __future__ import annotations

import unicodedata

ELLIPSIS = "…"
# Stands behind a character that takes two columns, so that lengths are columns; no text has it,
# since private-use characters are escaped.
FILLER = "\ue000"
# Categories that are no glyph: controls, format marks (bidi, zero width), surrogates, private
# use, unassigned, line and paragraph separators.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str) -> str:
    r"""`text` with every character that is no visible glyph written out: "\x1b", "\u202e"."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if unicodedata.category(char) not in _UNPRINTABLE else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, width: int, head: int | None = None) -> str:
    """`text` in at most `width` characters, its middle left out.

    Both ends of a path tell, the last part most: it keeps two thirds of the room, or all that
    `head` characters of the beginning leave.
    """
    if len(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    tail = (width - 1) * 2 // 3 if head is None else width - 1 - head
    head = width - 1 - tail
    return f"{text[:head]}{ELLIPSIS}{text[len(text) - tail :]}"


def named(text: str) -> str:
    """A name or a path from a file, in a line of text: fit to print, and no longer than 200."""
    return shorten(safe(text), 200)


def widened(text: str) -> str:
    """`text` with a filler behind each character that a terminal gives two columns."""
    if text.isascii():
        return text
    return "".join(
        char + FILLER if unicodedata.east_asian_width(char) in "WF" else char for char in text
    )


def shape(sides: tuple[int, ...] | None) -> str:
    """(10, 64) -> "10×64"; a scalar "scalar", no data space "none"."""
    if sides is None:
        return "none"
    return "×".join(str(side) for side in sides) or "scalar"


def value(number: float | str | None) -> str:
    """A minimum or maximum in at most six significant digits; None is "-"."""
    if number is None:
        return "-"
    if isinstance(number, str):
        return {"Infinity": "inf", "-Infinity": "-inf"}.get(number, number)
    return f"{number:,}" if isinstance(number, int) else f"{number:.6g}"


def optional(number: int | None) -> str:
    """1234 -> "1,234"; None is "?", since the artifact cannot say."""
    return "?" if number is None else f"{number:,}"

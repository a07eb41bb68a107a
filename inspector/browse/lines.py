"""Lines of text in tones, as plain data: what the pure parts make, and widgets show.

Words from files become pieces, never markup: neither rich's nor textual's is ever parsed.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from inspector.render.printable import ELLIPSIS, FILLER, safe, shorten, widened
from inspector.words import keyless

if TYPE_CHECKING:
    from rich.text import Text

Piece = tuple[str, str]  # what it says, in which tone
Line = tuple[Piece, ...]
Lines = list[Line]

LONGEST = 2_000  # characters of one text: a file may have any number

# Tone -> style. The sixteen colours of terminals: themes and terminals have their own of each.
STYLES = {
    "": "",
    "title": "bold",
    "dim": "dim",
    "weight": "green",
    "statistic": "cyan",
    "pruning": "yellow",
    "quantization": "magenta",
    "clustering": "blue",
    "training": "red",
    "structure": "dim",
    "unknown": "bold red",
    "error": "bold red",
    "warning": "yellow",
    "info": "cyan",
    "added": "green",
    "removed": "red",
    "changed": "yellow",
    "unread": "bold red",
    "unchanged": "dim",
    "bar": "blue",
    "mark": "bold yellow",
}


def clean(text: str, longest: int = LONGEST) -> str:
    """What a file says, fit to be shown: nothing in it steers the terminal, nor is it endless."""
    return shorten(safe(keyless(text[: 4 * longest])), longest)


class _Wrapper(textwrap.TextWrapper):
    """Breaks lines behind slashes too: paths are long, and words to no reader."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=/))")


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` columns; the second and later ones are indented."""
    spread = widened(text)
    # A break may part a wide character from its filler: one column is kept for that.
    room = width if spread == text else width - 1
    wrapper = _Wrapper(room, subsequent_indent=indent, break_on_hyphens=False)
    found = [line.replace(FILLER, "") for line in wrapper.wrap(spread)]
    return [line for line in found if line.strip()]


def plain(lines: Iterable[Line]) -> str:
    """The text alone."""
    return "\n".join("".join(text for text, _ in line) for line in lines)


def painted(lines: Iterable[Line]) -> Text:
    """The lines as rich's text, in the style of each tone."""
    from rich.text import Text

    text = Text(no_wrap=True, end="")
    for at, line in enumerate(lines):
        if at:
            text.append("\n")
        for words, tone in line:
            text.append(words, STYLES[tone])
    return text


def paragraph(text: str, width: int, tone: str = "", indent: str = "") -> Lines:
    """Words of ours or of a file, wrapped; later lines are indented."""
    return [((line, tone),) for line in wrap(clean(text), max(width, 8), indent)]


def heading(text: str) -> Lines:
    """An empty line and a title."""
    return [(), ((text, "title"),)]


def facts(pairs: Iterable[tuple[str, str]], width: int, column: int = 11) -> Lines:
    """Labels and what they say, in two columns; a label that repeats is said once."""
    lines: Lines = []
    previous = ""
    for label, text in pairs:
        shown = "" if label == previous else label
        spoken = text.lstrip(" ")
        indented = len(text) - len(spoken)
        wrapped = wrap(clean(spoken), max(width - column - indented, 16)) or [""]
        for at, line in enumerate(wrapped):
            left = shown if not at else ""
            lines.append(((f"{left:<{column}}", "dim"), (" " * indented + line, "")))
        previous = label
    return lines


def bounded(lines: Sequence[Line], most: int, rest: str) -> Lines:
    """At most so many lines; where there are more, `rest` says so ("{:,} more ...")."""
    if len(lines) <= most:
        return list(lines)
    return [*lines[:most], ((rest.format(len(lines) - most), "dim"),)]


def columns(text: str) -> int:
    """Columns that a terminal gives the text."""
    from rich.cells import cell_len

    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, width: int) -> str:
    """The text in exactly `width` columns: its middle left out, or spaces behind it."""
    taken = columns(text)
    if taken > width:
        room = width
        while room > 0 and columns(shorten(text, room)) > width:
            room -= 1
        text = shorten(text, room) if room else ELLIPSIS[:width]
        taken = columns(text)
    return text + " " * max(width - taken, 0)


def beside(left: Lines, right: Lines, width: int) -> Lines:
    """Two blocks side by side, each in half of `width` columns; one below the other in less."""
    half = (width - 2) // 2
    if any(columns(plain([line])) > half for line in (*left, *right)):
        return [*left, (), *right]
    blank: Line = ()
    lines: Lines = []
    for at in range(max(len(left), len(right))):
        a = left[at] if at < len(left) else blank
        b = right[at] if at < len(right) else blank
        gap = " " * (half + 2 - columns(plain([a])))
        lines.append((*a, (gap, ""), *b))
    return lines

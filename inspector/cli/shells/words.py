"""A command line as a shell would take it apart, up to the cursor; and words as bash wants them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SINGLE, _DOUBLE = "'", '"'
_BREAKS = " \t\n\"'@><=;|&(:"  # bash's own COMP_WORDBREAKS
# What means something to bash outside quotes, or might; letters of other scripts do not.
_SPECIAL = re.compile(r"([^\w./:=@%+,-])")
_IN_DOUBLE = re.compile(r'([\\"$`])')
_ESCAPED_IN_DOUBLE = '\\"$`'


@dataclass(frozen=True, slots=True)
class Line:
    """words: those before the cursor's, without quotes. raw: the cursor's, as it was typed so far;
    word: the same without quotes. quote: the one that is open at the cursor, or "".
    """

    words: tuple[str, ...]
    raw: str
    word: str
    quote: str


def split(line: str) -> Line:
    """Take a line apart. Nothing is expanded, and a quote may be left open."""
    words: list[str] = []
    word = quote = ""
    start: int | None = None  # of the word that is being read
    escaped = False
    for at, char in enumerate(line):
        if not (escaped or quote) and char.isspace():
            if start is not None:
                words.append(word)
            word, start = "", None
            continue
        start = at if start is None else start
        if escaped:
            escaped = False
            word += f"\\{char}" if quote and char not in _ESCAPED_IN_DOUBLE else char
        elif char == "\\" and quote != _SINGLE:
            escaped = True
        elif char == quote:
            quote = ""
        elif char in (_SINGLE, _DOUBLE) and not quote:
            quote = char
        else:
            word += char
    return Line(tuple(words), "" if start is None else line[start:], word, quote)


def for_bash(value: str, line: Line, breaks: str | None = None) -> str | None:
    """What bash has to put in, in place of the part of the word that it would replace, for the word
    to become `value`; None where it cannot. breaks: COMP_WORDBREAKS.

    It is quoted as the quote that is open needs it: whatever a name is made of, bash takes it as
    letters.
    """
    kept = split(line.raw[: _cut(line, _BREAKS if breaks is None else breaks)]).word
    if not value.startswith(kept):
        return None
    rest = value[len(kept) :]
    if line.quote == _SINGLE:
        return rest.replace("'", r"'\''")
    if line.quote == _DOUBLE:
        # "!" calls history back even there, and a backslash before it would stay.
        return None if "!" in rest else _IN_DOUBLE.sub(r"\\\1", rest)
    return _SPECIAL.sub(r"\\\1", rest)


def _cut(line: Line, breaks: str) -> int:
    """Where in the raw word that part begins: behind the open quote, or the last break."""
    last, quote, escaped = 0, "", False
    for at, char in enumerate(line.raw):
        if escaped:
            escaped = False
        elif char == "\\" and quote != _SINGLE:
            escaped = True
        elif quote:
            if char == quote:
                quote, last = "", at + 1
        elif char in (_SINGLE, _DOUBLE):
            quote, last = char, at + 1
        elif char in breaks:
            last = at + 1
    return last

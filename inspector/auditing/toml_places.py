"""Where in a TOML text each key and each element of an array is: tomllib does not say.

For text that tomllib takes: the scanner checks nothing, and stops where it understands nothing.
Source: https://toml.io/en/v1.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Line and column, both from 1; the column in characters."""

    line: int
    column: int


def toml_places(text: str) -> Mapping[Path, Place]:
    """The place of each key and array element by its path: ("overrides", 0, "paths", 1).

    Of a key that is written more than once (a table, and one inside it) the first. text: sound
    TOML.
    """
    scanner = _Scanner(text)
    scanner.run()
    starts = [0, *(found.end() for found in re.finditer(r"\n", text))]
    return {path: _place(at, starts) for path, at in scanner.places.items()}


def _place(at: int, starts: list[int]) -> Place:
    from bisect import bisect_right

    line = bisect_right(starts, at)
    return Place(line, at - starts[line - 1] + 1)


_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]\}\n#]*")
# The longest opening first. A multi-line string may end in up to five quotes.
_STRINGS = (
    re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL),
    re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


@dataclass(slots=True)
class _Scanner:
    text: str
    at: int = 0
    places: dict[Path, int] = field(default_factory=dict)
    tables: dict[Path, int] = field(default_factory=dict)  # of each [[array]], how many so far

    def run(self) -> None:
        table: Path = ()
        while True:
            self._skip(_BLANK)
            start = self.at
            if start >= len(self.text):
                return
            if self.text[start] == "[":
                table = self._header()
            else:
                self._pair(table)
            if self.at == start:
                return

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _header(self) -> Path:
        """A [table] or [[table]]: the path of what stands under it."""
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        keys = self._keys()
        self._skip(_SPACE)
        self.at += brackets
        path: Path = ()
        for number, (key, at) in enumerate(keys, start=1):
            path = (*path, key)
            self.places.setdefault(path, at)
            if number == len(keys) and brackets == 2:
                self.tables[path] = self.tables.get(path, -1) + 1
            if path in self.tables:
                path = (*path, self.tables[path])
                self.places.setdefault(path, at)
        return path

    def _pair(self, table: Path) -> None:
        """A key, "=" and its value."""
        path = table
        for key, at in self._keys():
            path = (*path, key)
            self.places.setdefault(path, at)
        self._skip(_SPACE)
        self.at += self._peek() == "="
        self._skip(_SPACE)
        self._value(path)

    def _keys(self) -> list[tuple[str, int]]:
        """A dotted key: each part and where it is."""
        parts: list[tuple[str, int]] = []
        while True:
            self._skip(_SPACE)
            start = self.at
            quoted = self._string()
            if quoted is None:
                self._skip(_BARE_KEY)
                quoted = self.text[start : self.at]
            if self.at == start:
                return parts
            parts.append((quoted, start))
            self._skip(_SPACE)
            if self._peek() != ".":
                return parts
            self.at += 1

    def _string(self) -> str | None:
        """The value of the string that begins here; None where none does."""
        for pattern in _STRINGS:
            found = pattern.match(self.text, self.at)
            if found:
                self.at = found.end()
                return _unquoted(found[0])
        return None

    def _value(self, path: Path) -> None:
        first = self._peek()
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline(path)
        elif self._string() is None:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self.at += 1
        for index in range(len(self.text)):
            self._skip(_BLANK)
            if self._peek() in ("]", ""):
                break
            self.places[*path, index] = start = self.at
            self._value((*path, index))
            self._skip(_BLANK)
            self.at += self._peek() == ","
            if self.at == start:
                break
        self.at += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while True:
            self._skip(_BLANK)
            start = self.at
            if self._peek() in ("}", ""):
                break
            self._pair(path)
            self._skip(_BLANK)
            self.at += self._peek() == ","
            if self.at == start:
                break
        self.at += 1


def _unquoted(raw: str) -> str:
    """The text of a quoted key."""
    import tomllib

    key: str = tomllib.loads(f"key = {raw}")["key"]
    return key

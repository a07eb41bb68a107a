"""Words, numbers and strings of protobuf's text format; `text_format` makes messages of them.

Source of the syntax: protobuf.dev, "Text Format Language Specification".
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from typing import NoReturn

from inspector.errors import Corrupt, LimitExceeded, Truncated
from inspector.limits import MIB, Limits
from inspector.storage import ByteSource

# Possessive: what has been matched is not tried in another way, so time stays linear.
_SPACE = rb"(?:[ \t\r\n\f\v]++|#[^\n]*+)*+"
_SPACES = re.compile(_SPACE)
_ITEM = re.compile(
    _SPACE
    + rb"(?:([A-Za-z_]\w*+)" + _SPACE + rb"(:?+)" + _SPACE + rb"|([}>])|(\[)|([,;])|(\Z))"
)  # fmt: skip
NAME, COLON, _CLOSE, _BRACKET, _SEPARATOR, _END = range(1, 7)
_STRING = rb"\"[^\"\\\n]*+(?:\\[^\n][^\"\\\n]*+)*+\"|'[^'\\\n]*+(?:\\[^\n][^'\\\n]*+)*+'"
_SCALAR = re.compile(
    _SPACE + rb"(?:(-?+)" + _SPACE + rb"([\w.](?:[\w.]|(?<=[eE])[+-])*+)|(" + _STRING + rb"))"
)
MINUS, TOKEN, QUOTED = range(1, 4)
_MORE = re.compile(_SPACE + rb"(" + _STRING + rb")")
_MARK = re.compile(_SPACE + rb"(.)", re.DOTALL)
_IN_BRACKETS = re.compile(rb"[^\]\n]*+\]" + _SPACE + rb":?+" + _SPACE)
_NESTED = re.compile(rb"(?:[^\"'#{}<>\[\]]++|#[^\n]*+|" + _STRING + rb")*+([{}<>\[\]])?+")
_PLAIN = re.compile(
    rb"(?:[^\\]++|\\(?:[0-3][0-7]{0,2}+|[4-7][0-7]?+(?![0-7])|x[0-9a-fA-F]{2}|[abfnrtv\"'\\]))*+"
)
_ESCAPE = re.compile(
    rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))",
    re.DOTALL,
)
_ESCAPED = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b"\\": b"\\", b"'": b"'", b'"': b'"', b"?": b"?",
}  # fmt: skip
CLOSERS = {b"{": b"}", b"<": b">"}
_PAIRS = {**CLOSERS, b"[": b"]"}
_TRUTH = {b"true": 1, b"t": 1, b"True": 1, b"1": 1, b"false": 0, b"f": 0, b"False": 0, b"0": 0}
_LONGEST_NUMBER = 512  # characters


class Scanner:
    """A text, and what is at a place of it. Places are bytes from its start.

    It is held whole. Raises Corrupt for what the format does not have: the message gives the line,
    the offset is the text's own.
    """

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self.path, self.size = source.path, source.size
        self._view = source.view(0, source.size)
        self._limits = limits

    def name(self, at: int, closer: bytes) -> tuple[re.Match[bytes] | None, int]:
        """The next name of a field (groups NAME, COLON), None at the closing mark, and what is
        behind. Names in brackets are passed over with their values. Raises Truncated.
        """
        while True:
            found = _ITEM.match(self._view, at)
            if found is None:
                self.fail("neither a field's name nor an end", at)
            at, part = found.end(), found.lastindex
            if part == _BRACKET:
                at = self._skip_extension(at)
            elif part in (_CLOSE, _END):
                if (found[_CLOSE] or b"") != closer:
                    self._unbalanced(found[_CLOSE], closer, at)
                return None, at
            elif part != _SEPARATOR:
                return found, at

    def scalar(self, at: int) -> re.Match[bytes] | None:
        """A number or name (groups MINUS, TOKEN), or a string (QUOTED), if one is there."""
        return _SCALAR.match(self._view, at)

    def string(self, at: int) -> tuple[bytes, int]:
        """What a string, and those right behind it, stand for, and what is behind them."""
        parts, found = [], _MORE.match(self._view, at)
        if found is None:
            self.fail("no text in quotes", at)
        while found is not None:
            parts.append(self._unescaped(found[1], found.start(1)))
            at = found.end()
            found = _MORE.match(self._view, at)
        return parts[0] if len(parts) == 1 else b"".join(parts), at

    def mark(self, at: int) -> tuple[bytes, int]:
        """The next character that is no space (b"" at the end), and what is behind it."""
        found = _MARK.match(self._view, at)
        return (b"", self.size) if found is None else (found[1], found.end())

    def fail(self, what: str, at: int) -> NoReturn:
        """Raise Corrupt about the first word from `at` on."""
        space = _SPACES.match(self._view, at)
        at = at if space is None else space.end()
        raise Corrupt(f"line {self._line(at):,}: {what}", self.path, at)

    def _line(self, at: int) -> int:
        pieces = (self._view[start : min(start + MIB, at)] for start in range(0, at, MIB))
        return 1 + sum(bytes(piece).count(b"\n") for piece in pieces)

    def _unbalanced(self, found: bytes | None, closer: bytes, at: int) -> NoReturn:
        if found is None:
            raise Truncated(
                f"line {self._line(at):,}: the text ends within a message", self.path, at
            )
        should = f"{closer.decode()!r} should be" if closer else "no message is open"
        self.fail(f"{found.decode()!r} where {should}", at - 1)

    def _unescaped(self, quoted: bytes, at: int) -> bytes:
        """The bytes that a string in quotes stands for."""
        text = quoted[1:-1]
        if b"\\" not in text:
            return text
        if _PLAIN.fullmatch(text):
            # Python means the same by these, and is fast enough for what a model's weights take.
            return text.decode("unicode_escape").encode("latin-1")
        return _ESCAPE.sub(lambda found: self._escape(found, at + 1), text)

    def _escape(self, found: re.Match[bytes], at: int) -> bytes:
        octal, hexadecimal, four, eight, other = found.groups()
        try:
            if octal is not None:
                return bytes((int(octal, 8),))
            if hexadecimal is not None:
                return bytes((int(hexadecimal, 16),))
            if other is not None:
                return _ESCAPED[other]
            return chr(int(four or eight, 16)).encode()
        except (ValueError, KeyError):  # over 255, over 0x10FFFF, half of a surrogate pair
            shown = found[0].decode("ascii", "replace")
            self.fail(f"{shown!r} in quotes stands for nothing", at + found.start())

    def _skip_extension(self, at: int) -> int:
        """Pass over a name in brackets, from behind the first of them, and its value."""
        name = _IN_BRACKETS.match(self._view, at)
        if name is None:
            self.fail("a name in brackets that does not end", at)
        at = name.end()
        if self.mark(at)[0] in _PAIRS:
            return self._skip_nested(at)
        found = self.scalar(at)
        if found is None:
            self.fail("no value behind a name in brackets", at)
        return found.end() if found[QUOTED] is None else self.string(at)[1]

    def _skip_nested(self, at: int) -> int:
        """Pass over all from an opening mark to the one that closes it."""
        pending: list[bytes] = []
        while True:
            found = _NESTED.match(self._view, at)
            if found is None or found[1] is None:
                self.fail("a value behind a name in brackets that does not end", at)
            at, mark = found.end(), found[1]
            if mark in _PAIRS:
                pending.append(_PAIRS[mark])
                if len(pending) > self._limits.depth:
                    limit = self._limits.depth
                    raise LimitExceeded("depth", len(pending), limit, self.path, at)
            elif pending.pop() != mark:
                self.fail(f"{mark.decode()!r} closes something else", at - 1)
            if not pending:
                return at


def integer(token: bytes, names: Mapping[str, int] | None) -> int:
    """The number that a word is, decimal, octal or hexadecimal, or is the name of.

    Raises ValueError.
    """
    if names is not None and not token[:1].isdigit():
        if token.decode() not in names:
            raise ValueError
        return names[token.decode()]
    if b"_" in token or len(token) > _LONGEST_NUMBER:
        raise ValueError
    if token[:1] == b"0" and token.isdigit():
        return int(token, 8)
    return int(token, 16) if token[:2] in (b"0x", b"0X") else int(token)


def truth(token: bytes) -> int:
    """1 or 0 for the words of a bool. Raises ValueError."""
    if token not in _TRUTH:
        raise ValueError
    return _TRUTH[token]


def floating(token: bytes, *, negative: bool, double: bool) -> bytes:
    """A float or double in the binary format: infinite where it is too large. Raises ValueError."""
    if b"_" in token or len(token) > _LONGEST_NUMBER:
        raise ValueError
    try:
        value = float(token)
    except ValueError:
        if token[-1:] not in (b"f", b"F"):
            raise
        value = float(token[:-1])
    value = -value if negative else value
    try:
        return struct.pack("<d" if double else "<f", value)
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, value))

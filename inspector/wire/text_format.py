"""Protobuf's text format: a .pbtxt as the same message in binary form, in memory.

So the readers of the binary form serve for both. Extensions and expanded Any messages (names in
brackets) are passed over. Apart from the official reader, a singular field may come twice: its
last value counts.
"""

from __future__ import annotations

import bisect
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from inspector.errors import LimitExceeded
from inspector.limits import DEFAULT, Limits
from inspector.storage import ByteSource, MemorySource
from inspector.wire.protobuf import FIXED_SIZES, Message, Wire, message
from inspector.wire.protobuf_schema import SCALARS
from inspector.wire.tensorflow_messages import Known, known
from inspector.wire.text_tokens import (
    CLOSERS,
    COLON,
    MINUS,
    NAME,
    QUOTED,
    TOKEN,
    Scanner,
    floating,
    integer,
    truth,
)
from inspector.wire.typed_values import VALUE_FIELDS

_CONSTANT = "TensorProto"
_64 = (1 << 64) - 1
_RANGES: Mapping[str, tuple[int, int]] = {
    **{f"{kind}32": (-(1 << 31), (1 << 31) - 1) for kind in ("int", "sint", "sfixed")},
    **{f"{kind}64": (-(1 << 63), (1 << 63) - 1) for kind in ("int", "sint", "sfixed")},
    **{f"{kind}{bits}": (0, (1 << bits) - 1) for kind in ("uint", "fixed") for bits in (32, 64)},
    "enum": (-(1 << 31), (1 << 31) - 1),
    "bool": (0, 1),
}


@dataclass(frozen=True, slots=True)
class Text:
    """A text's message in binary form, and where in the text its constants' values are."""

    message: Message
    _starts: array[int] = field(repr=False)  # of fields of values, in the binary form
    _from: array[int] = field(repr=False)  # of the same fields in the text
    _to: array[int] = field(repr=False)

    def spans(self, binary: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """(offset, length) in the text of a TensorValue's `spans`, as many as those.

        Each from its first value to the end of its last one, what is between them included.
        """
        found = []
        for offset, length in binary:
            first = bisect.bisect_left(self._starts, offset)
            last = bisect.bisect_left(self._starts, offset + length) - 1
            if first <= last:
                # A variant's own fields are marked as well, and end before it does.
                stop = max(self._to[first : last + 1])
                found.append((self._from[first], stop - self._from[first]))
        return tuple(found)


def to_binary(source: ByteSource, kind: str, limits: Limits = DEFAULT) -> Text:
    """The message that a text is. kind: "GraphDef", "SavedModel", "CheckpointState" ...

    Raises Corrupt (its message gives the line, its offset is the text's), Truncated, and
    LimitExceeded (`text_bytes`: the text, or its binary form; `message_fields`, `depth`).
    """
    if source.size > limits.text_bytes:
        raise LimitExceeded("text_bytes", source.size, limits.text_bytes, source.path)
    encoder = _Encoder(source, limits)
    encoder.message(kind, 0, b"", 0)
    return encoder.finish()


class _Writer:
    """Messages inside one another: bytes without lengths, and the lengths to put in between."""

    def __init__(self) -> None:
        self.body = bytearray()
        self._starts = array("q")
        self._lengths = array("q")
        self._prefixes = 0  # bytes that the lengths known so far will take
        self._open: list[tuple[int, int]] = []

    def open(self, number: int) -> int:
        """Start a field that has a length. Returns the how manieth it is."""
        self.body += _varint(number << 3 | Wire.BYTES)
        self._open.append((len(self._starts), self._prefixes))
        self._starts.append(len(self.body))
        self._lengths.append(0)
        return len(self._starts) - 1

    def close(self) -> None:
        """End the field that was started last."""
        place, prefixes = self._open.pop()
        length = len(self.body) - self._starts[place] + self._prefixes - prefixes
        self._lengths[place] = length
        self._prefixes += len(_varint(length))

    def finish(self) -> tuple[bytearray, array[int]]:
        """The whole, and where the value of each field that has a length starts in it."""
        out, offsets, at = bytearray(), array("q"), 0
        view = memoryview(self.body)
        for start, length in zip(self._starts, self._lengths, strict=True):
            out += view[at:start]
            out += _varint(length)
            offsets.append(len(out))
            at = start
        out += view[at:]
        return out, offsets


class _Encoder:
    """One pass over a text. Each method returns where the text goes on."""

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._limits = limits
        self._text = Scanner(source, limits)
        self._writer = _Writer()
        self._fields = 0
        self._marked = array("q")  # fields of the writer's that hold values of constants
        self._from, self._to = array("q"), array("q")

    def finish(self) -> Text:
        """The message, once its text has been read to the end."""
        out, offsets = self._writer.finish()
        starts = array("q", (offsets[place] for place in self._marked))
        binary = MemorySource(memoryview(out), self._text.path)
        return Text(message(binary, self._limits), starts, self._from, self._to)

    def message(self, kind: str, at: int, closer: bytes, depth: int) -> int:
        """Write the fields of a message up to its closing mark."""
        if depth > self._limits.depth:
            raise LimitExceeded("depth", depth, self._limits.depth, self._text.path, at)
        table = known(kind)
        run = 0  # number of the field whose packed values are being written
        while True:
            found, at = self._text.name(at, closer)
            if found is None:
                if run:
                    self._writer.close()
                return at
            name = found[NAME].decode()
            one = table.get(name)
            if one is None:
                self._text.fail(f"{kind} has no field {name[:80]!r}", found.start(NAME))
            marks = kind == _CONSTANT and one.number in VALUE_FIELDS
            run = self._switch(run, one, at, marks)
            at = self._values(one, at, bool(found[COLON]), marks, depth)
            if run and marks:
                self._to[-1] = at

    def _switch(self, run: int, one: Known, at: int, marks: bool) -> int:
        """End a run of packed values where another field follows, and start one where it has."""
        packs = one.number if one.repeated and one.kind in SCALARS else 0
        if run and run != packs:
            self._writer.close()
        if packs and run != packs:
            place = self._writer.open(one.number)
            if marks:
                self._mark(place, at)
        return packs

    def _values(self, one: Known, at: int, colon: bool, marks: bool, depth: int) -> int:
        """Write a field's value, or the values of a list."""
        if not (colon or one.is_message):
            self._text.fail(f"no colon behind {one.name}", at)
        mark, behind = self._text.mark(at)
        if mark != b"[":
            return self._value(one, at, marks, depth)
        if not one.repeated:
            self._text.fail(f"{one.name} is one value, not a list", at)
        at = behind
        mark, behind = self._text.mark(at)
        while mark != b"]":
            at = self._value(one, at, marks, depth)
            mark, behind = self._text.mark(at)
            if mark == b",":
                at = behind
            elif mark != b"]":
                self._text.fail("neither a comma nor the end of a list", at)
        return behind

    def _value(self, one: Known, at: int, marks: bool, depth: int) -> int:
        self._fields += 1
        for name, spent in (
            ("message_fields", self._fields),
            ("text_bytes", len(self._writer.body)),
        ):
            limit = getattr(self._limits, name)
            if spent > limit:
                raise LimitExceeded(name, spent, limit, self._text.path, at)
        if one.kind in SCALARS:
            return self._number(one, at)
        place = self._writer.open(one.number)
        mine = len(self._marked)
        if marks:
            self._mark(place, self._text.mark(at)[1] - 1)
        if one.is_message:
            opener, behind = self._text.mark(at)
            if opener not in CLOSERS:
                self._text.fail(f"{one.name} is a message in braces", at)
            at = self.message(one.kind, behind, CLOSERS[opener], depth + 1)
        else:
            value, at = self._text.string(at)
            self._writer.body += value
        self._writer.close()
        if marks:
            self._to[mine] = at
        return at

    def _mark(self, place: int, at: int) -> None:
        self._marked.append(place)
        self._from.append(at)
        self._to.append(at)

    def _number(self, one: Known, at: int) -> int:
        """Write a number, with its tag where it is no part of a packed field."""
        found = self._text.scalar(at)
        if found is None or found[QUOTED] is not None:
            self._text.fail(f"{one.name} is a number or a name", at)
        if not one.repeated:
            self._writer.body += _varint(one.number << 3 | SCALARS[one.kind].wire)
        try:
            self._writer.body += _encoded(one, found)
        except ValueError:
            shown = found[0].strip()[:80].decode("ascii", "replace")
            self._text.fail(f"{one.name} ({one.kind}) cannot be {shown!r}", at)
        return found.end()


def _encoded(one: Known, found: re.Match[bytes]) -> bytes:
    """A number in the binary format. Raises ValueError."""
    negative, token = bool(found[MINUS]), found[TOKEN]
    if one.kind in ("float", "double"):
        return floating(token, negative=negative, double=one.kind == "double")
    value = truth(token) if one.kind == "bool" else integer(token, one.values)
    value = -value if negative else value
    low, high = _RANGES[one.kind]
    if not low <= value <= high:
        raise ValueError
    if one.kind.startswith("sint"):
        value = (value << 1) ^ (value >> 63)
    size = FIXED_SIZES.get(SCALARS[one.kind].wire)
    if size is not None:
        return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return _varint(value & _64)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

"""The protobuf wire format: where each field of a message is, within bounds.

The official runtime will not do: it gives no offsets, and holds a message whole. Source of the
format: protobuf.dev, "Encoding". What the numbers mean is told by a schema: protobuf_schema.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from inspector import deadline
from inspector.errors import Corrupt, LimitExceeded, Truncated
from inspector.limits import DEFAULT, Limits
from inspector.storage import Bytes, ByteSource, lazily

VARINT_BYTES = 10
_LARGEST_NUMBER = (1 << 29) - 1
_64 = (1 << 64) - 1


class Wire(enum.IntEnum):
    """How a field's value is written."""

    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    START_GROUP = 3
    END_GROUP = 4
    FIXED32 = 5


_WIRES = tuple(Wire)
_VARINT, _, _BYTES, _START, _END, _ = _WIRES
FIXED_SIZES = {Wire.FIXED32: 4, Wire.FIXED64: 8}


class Field(NamedTuple):
    """One field of a message. value: the bare unsigned number; 0 where the field has a payload.

    offset, length: bytes of the value in the source, without tag and without length prefix.
    """

    number: int
    wire: Wire
    value: int
    offset: int
    length: int


def read_varint(view: Bytes, at: int, path: str, base: int = 0) -> tuple[int, int]:
    """(value below 2**64, where the next byte is) of the varint at `view[at]`.

    base: the absolute offset of `view[0]`, for messages. Raises Truncated, and Corrupt for one of
    more than 10 bytes.
    """
    value = shift = 0
    for index in range(at, min(at + VARINT_BYTES, len(view))):
        byte = view[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _64, index + 1
        shift += 7
    if at + VARINT_BYTES <= len(view):
        raise Corrupt("a varint has more than 10 bytes", path, base + at)
    raise Truncated("the bytes end within a varint", path, base + at)


def zigzag(value: int) -> int:
    """The signed number behind a sint32's or sint64's varint."""
    return (value >> 1) ^ -(value & 1)


def signed(value: int, bits: int = 64) -> int:
    """A varint's low `bits` bits as a signed number: int64 and, with 32, int32 and enums."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def fields(  # noqa: C901, PLR0912 - one flat loop: a call more a field would double its time
    source: ByteSource, offset: int = 0, length: int | None = None, limits: Limits = DEFAULT
) -> Iterator[Field]:
    """Each field of the message in `length` bytes at `offset` (all the rest where None).

    Of a file little is read but tags and numbers: payloads are passed over, and so are
    groups, which TensorFlow never writes. Raises Truncated, Corrupt (a field
    number of 0 or over 2**29 - 1, an unknown wire type, a group that never ends or starts) and
    LimitExceeded (`message_fields`, `depth`), each with the absolute offset.
    """
    length = source.size - offset if length is None else length
    view, path, stop = lazily(source, offset, length), source.path, length
    groups: list[int] = []
    at = count = 0
    while at < stop:
        start = at
        tag = view[at]
        at += 1
        if tag >= 0x80:
            tag, at = read_varint(view, start, path, offset)
        number, kind = tag >> 3, tag & 7
        value = size = 0
        if not 0 < number <= _LARGEST_NUMBER:
            raise Corrupt(f"field number {number:,} is none", path, offset + start)
        if kind >= len(_WIRES):
            raise Corrupt(f"wire type {kind} is none", path, offset + start)
        if kind == _BYTES:
            if at < stop and view[at] < 0x80:
                size, at = view[at], at + 1
            else:
                size, at = read_varint(view, at, path, offset)
            place, at = at, at + size
        elif kind == _VARINT:
            place = at
            if at < stop and view[at] < 0x80:
                value, at = view[at], at + 1
            else:
                value, at = read_varint(view, at, path, offset)
            size = at - place
        elif kind in FIXED_SIZES:
            place, size = at, 4 if kind == Wire.FIXED32 else 8
            at += size
            value = int.from_bytes(view[place:at], "little")
        else:
            _nest(groups, number, kind == _START, limits, (path, offset + start))
            place = at
        if at > stop:
            raise Truncated(
                f"cut short: field {number} needs {size:,} bytes, {at - stop:,} are missing",
                path,
                offset + start,
            )
        count += 1
        if not count % deadline.EVERY:
            deadline.check()
        if count > limits.message_fields:
            limit = limits.message_fields
            raise LimitExceeded("message_fields", count, limit, path, offset + start)
        if not groups and kind != _END:
            yield Field(number, _WIRES[kind], value, offset + place, size)
    if groups:
        raise Truncated(f"group {groups[-1]} never ends", path, offset + stop)


def _nest(
    groups: list[int], number: int, starts: bool, limits: Limits, where: tuple[str, int]
) -> None:
    """Enter or leave a group; `groups` are those still open."""
    if starts:
        groups.append(number)
        if len(groups) > limits.depth:
            raise LimitExceeded("depth", len(groups), limits.depth, *where)
    elif not groups or groups.pop() != number:
        raise Corrupt(f"group {number} ends without a start", *where)


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is read when asked: `length` bytes at `offset` of `source`.

    Every method may raise what `fields` raises. depth: how many messages it is in.
    """

    source: ByteSource
    offset: int
    length: int
    limits: Limits = DEFAULT
    depth: int = 0

    def fields(self, *numbers: int) -> Iterator[Field]:
        """Its fields in order, all or those of these numbers."""
        found = fields(self.source, self.offset, self.length, self.limits)
        return found if not numbers else (one for one in found if one.number in numbers)

    def child(self, field: Field) -> Message:
        """The message that a length-delimited field holds. Raises LimitExceeded (`depth`)."""
        if self.depth >= self.limits.depth:
            raise LimitExceeded(
                "depth", self.depth + 1, self.limits.depth, self.source.path, field.offset
            )
        return Message(self.source, field.offset, field.length, self.limits, self.depth + 1)

    def each(self, number: int) -> Iterator[Message]:
        """The messages of a repeated field, one at a time."""
        for field in self.fields(number):
            if field.wire == _BYTES:
                yield self.child(field)

    def last(self, number: int, wire: Wire = _BYTES) -> Field | None:
        """The field that wins: the last of this number and wire type."""
        found = None
        for field in self.fields(number):
            if field.wire == wire:
                found = field
        return found

    def find(self, *path: int) -> Message | None:
        """The message at the end of a path of field numbers, the last one at each step."""
        message = self
        for number in path:
            field = message.last(number)
            if field is None:
                return None
            message = message.child(field)
        return message

    def number(self, number: int, default: int = 0) -> int:
        """A varint's unsigned value; see `signed` and `zigzag`."""
        field = self.last(number, _VARINT)
        return default if field is None else field.value

    def text(self, number: int, default: str = "") -> str:
        """A string, as `decode` gives it."""
        field = self.last(number)
        return default if field is None else decode(self.source, field, self.limits)

    def texts(self, number: int) -> Iterator[str]:
        """The strings of a repeated field."""
        for field in self.fields(number):
            if field.wire == _BYTES:
                yield decode(self.source, field, self.limits)

    def view(self) -> memoryview:
        """Its bytes."""
        return self.source.view(self.offset, self.length)


def message(source: ByteSource, limits: Limits = DEFAULT) -> Message:
    """The message that a whole source is."""
    return Message(source, 0, source.size, limits)


def decode(source: ByteSource, field: Field, limits: Limits = DEFAULT) -> str:
    r"""A field's text. Bytes that are no UTF-8 stay apart, and printable, as "\xff".

    Raises LimitExceeded (`member_bytes`).
    """
    if field.length > limits.member_bytes:
        raise LimitExceeded(
            "member_bytes", field.length, limits.member_bytes, source.path, field.offset
        )
    return bytes(source.view(field.offset, field.length)).decode("utf-8", "backslashreplace")

"""The protobuf wire format: where each field of a message is, within bounds.

The official runtime will not do: it gives no offsets, and holds a message whole. Source of the
format: protobuf.dev, "Encoding". What the numbers mean is told by a schema: protobuf_schema.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from inspector import deadline
from inspector.errors import ArtifactError, Corrupt, LimitExceeded, Truncated
from inspector.limits import DEFAULT, KIB, Limits
from inspector.storage import Bytes, ByteSource, check_bounds

VARINT_BYTES = 10
_LARGEST_NUMBER = (1 << 29) - 1
_64 = (1 << 64) - 1
_BLOCK = 32 * KIB  # bytes of a message that are looked at together
_FIRST = KIB // 2  # half as many as at first, and behind values that are passed over
_HEAD = 2 * VARINT_BYTES  # bytes of a tag, and of a length or a number behind it


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
_ANY = range(_LARGEST_NUMBER + 1)
FIXED_SIZES: Mapping[int, int] = {Wire.FIXED32: 4, Wire.FIXED64: 8}


class Field(NamedTuple):
    """One field of a message. value: the bare unsigned number; 0 where the field has a payload.

    offset, length: bytes of the value in the source, without tag and without length prefix.
    """

    number: int
    wire: Wire
    value: int
    offset: int
    length: int


# A named tuple's own constructor is a Python function, which costs as much as finding the field.
_field: Callable[[tuple[int, Wire, int, int, int]], Field] = partial(tuple.__new__, Field)


def read_varint(view: Bytes | bytes, at: int, path: str, base: int = 0) -> tuple[int, int]:
    """(value below 2**64, where the next byte is) of the varint at `view[at]`.

    base: the absolute offset of `view[0]`, for messages. Raises Truncated, and Corrupt for one of
    more than 10 bytes.
    """
    if at + 1 < len(view) and view[at + 1] < 0x80 <= view[at]:  # two bytes, as most have
        return (view[at] & 0x7F) | view[at + 1] << 7, at + 2
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


def fields(  # noqa: C901, PLR0912, PLR0915 - one flat loop: a call more a field doubles its time
    source: ByteSource,
    offset: int = 0,
    length: int | None = None,
    limits: Limits = DEFAULT,
    wanted: Container[int] = _ANY,
) -> Iterator[Field]:
    """Each field of the message in `length` bytes at `offset` (all the rest where None).

    wanted: numbers of the fields that are given; the others are looked at all the same. Of a file
    little is read but tags and numbers: payloads are passed over, and so are
    groups, which TensorFlow never writes. Raises Truncated, Corrupt (a field
    number of 0 or over 2**29 - 1, an unknown wire type, a group that never ends or starts) and
    LimitExceeded (`message_fields`, `depth`), each with the absolute offset.
    """
    stop = source.size - offset if length is None else length
    path = source.path
    check_bounds(path, source.size, offset, stop)
    data, base, edge = b"", 0, 0  # some bytes, where in the message, and where they are too few
    groups: list[int] = []
    block = _FIRST
    at = count = 0  # at: into data
    pause = min(deadline.EVERY, limits.message_fields + 1)
    while base + at < stop:
        if at >= edge:
            block = min(2 * block, _BLOCK) if at <= len(data) else _FIRST
            base += at
            at = 0
            data = bytes(source.view(offset + base, min(block, stop - base)))
            edge = len(data) - (_HEAD if base + len(data) < stop else 0)
        start = at
        tag = data[at]
        at += 1
        if tag >= 0x80:
            tag, at = read_varint(data, start, path, offset + base)
        number, kind = tag >> 3, tag & 7
        value = size = 0
        if not 0 < number <= _LARGEST_NUMBER:
            raise Corrupt(f"field number {number:,} is none", path, offset + base + start)
        place = at
        if kind == 2:  # BYTES
            size = data[at] if at < len(data) else 0x80
            place = at + 1
            if size >= 0x80:
                size, place = read_varint(data, at, path, offset + base)
            at = place + size
        elif kind == 0:  # VARINT
            value = data[at] if at < len(data) else 0x80
            at += 1
            if value >= 0x80:
                value, at = read_varint(data, place, path, offset + base)
            size = at - place
        elif kind in FIXED_SIZES:
            size = FIXED_SIZES[kind]
            at += size
            value = int.from_bytes(data[place:at], "little")
        elif kind < len(_WIRES):
            _nest(groups, number, kind == _START, limits, (path, offset + base + start))
        else:
            raise Corrupt(f"wire type {kind} is none", path, offset + base + start)
        if base + at > stop:
            raise Truncated(
                f"cut short: field {number} needs {size:,} bytes, {base + at - stop:,} are missing",
                path,
                offset + base + start,
            )
        count += 1
        if count >= pause:
            deadline.check()
            if count > limits.message_fields:
                limit, where = limits.message_fields, offset + base + start
                raise LimitExceeded("message_fields", count, limit, path, where)
            pause = min(pause + deadline.EVERY, limits.message_fields + 1)
        if number in wanted and not groups and kind != _END:
            yield _field((number, _WIRES[kind], value, offset + base + place, size))
    if groups:
        raise Truncated(f"group {groups[-1]} never ends", path, offset + stop)


def short_fields(data: bytes, offset: int, limits: Limits = DEFAULT) -> list[Field] | None:
    """What `fields` gives of a message whose bytes these are, at a third of its time.

    offset: of the message in its source. None where anything is long, rare or wrong: `fields` has
    the last word.
    """
    found: list[Field] = []
    at, stop = 0, len(data)
    try:
        while at < stop:
            tag = data[at]
            number, kind = tag >> 3, tag & 7
            if not number or tag >= 0x80:
                return None
            place = at + 1
            value = size = 0
            if kind == 2:  # BYTES
                size = data[place]
                place += 1
                if size >= 0x80:
                    size, place = read_varint(data, place - 1, "")
                at = place + size
            elif kind == 0:  # VARINT
                value = data[place]
                at = place + 1
                if value >= 0x80:
                    value, at = read_varint(data, place, "")
                size = at - place
            elif kind in FIXED_SIZES:
                size = FIXED_SIZES[kind]
                at = place + size
                value = int.from_bytes(data[place:at], "little")
            else:
                return None
            found.append(_field((number, _WIRES[kind], value, offset + place, size)))
    except (IndexError, ArtifactError):
        return None
    return found if at == stop and len(found) <= limits.message_fields else None


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


class Message(NamedTuple):
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
        return fields(self.source, self.offset, self.length, self.limits, numbers or _ANY)

    def child(self, field: Field) -> Message:
        """The message that a length-delimited field holds. Raises LimitExceeded (`depth`)."""
        source, _, _, limits, depth = self
        if depth >= limits.depth:
            raise LimitExceeded("depth", depth + 1, limits.depth, source.path, field.offset)
        return _message((source, field.offset, field.length, limits, depth + 1))

    def children(self, places: Iterable[tuple[int, int]]) -> list[Message]:
        """The same of many fields, by their payloads: (offset, length) each."""
        source, _, _, limits, depth = self
        if depth >= limits.depth:
            raise LimitExceeded("depth", depth + 1, limits.depth, source.path, self.offset)
        below = depth + 1
        return [_message((source, offset, length, limits, below)) for offset, length in places]

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


_message: Callable[[tuple[ByteSource, int, int, Limits, int]], Message] = partial(
    tuple.__new__, Message
)


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

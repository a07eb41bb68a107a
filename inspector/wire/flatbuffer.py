"""The FlatBuffers wire format: tables, vectors, strings and unions, within bounds, when asked for.

The official runtime will not do: it checks no offset in Python and tells nobody where a value is.
Source of the format: flatbuffers.dev, "FlatBuffer Internals". What the fields mean is told by a
schema: flatbuffer_schema.

Offsets to tables, vectors and strings are unsigned and count forward from where they stand, so what
they lead to can repeat, but can never be a cycle.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from inspector.errors import Corrupt, LimitExceeded, Truncated, UnknownFormat
from inspector.limits import DEFAULT, KIB, MIB, Limits
from inspector.storage import ByteSource

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

OFFSET_BYTES = 4
IDENTIFIER = range(4, 8)  # where the file identifier is, behind the offset of the root table
_VTABLE_HEADER = 4  # its own size and the table's, 16 bits each

# A file up to this size is held whole, bytes; of a larger one, so much around what is read.
_WHOLE = 16 * MIB
_HELD = 4 * KIB
# Bytes of a table in a list that are expected of it: what it begins with, and what leads on.
_LOOK = 64

_WORD = struct.Struct("<I")
_BACK = struct.Struct("<i")
_PAIR = struct.Struct("<HH")

# Name of a scalar type -> how it is written.
SCALARS: Mapping[str, struct.Struct] = {
    "bool": struct.Struct("<?"),
    "int8": struct.Struct("<b"),
    "uint8": struct.Struct("<B"),
    "int16": struct.Struct("<h"),
    "uint16": struct.Struct("<H"),
    "int32": struct.Struct("<i"),
    "uint32": struct.Struct("<I"),
    "int64": struct.Struct("<q"),
    "uint64": struct.Struct("<Q"),
    "float32": struct.Struct("<f"),
    "float64": struct.Struct("<d"),
}


class Vector(NamedTuple):
    """Where the items of a vector are: `items` of them, of `size` bytes each, from `offset` on."""

    offset: int
    items: int
    size: int

    @property
    def nbytes(self) -> int:
        return self.items * self.size


class Span(NamedTuple):
    """Bytes of the file that hold one part of its structure."""

    offset: int
    length: int


class Flatbuffer:
    """A source as a flatbuffer, and what has been turned into Python values of it so far.

    Numbers and texts are turned once for each place: in a sound file no two of them overlap, and
    what overlapping ones would add up to is bounded (`vector_numbers`, `keys_bytes`).
    """

    def __init__(self, source: ByteSource, limits: Limits = DEFAULT) -> None:
        self.source = source
        self.path = source.path
        self.size = source.size
        self.limits = limits
        # A large model is nearly all values, which are none of a flatbuffer's business.
        self._whole = self.size <= _WHOLE
        self._held = source.view(0, self.size if self._whole else 0)
        self._from = 0
        self._vtables: dict[int, VTable] = {}
        self._kept: dict[Hashable, Any] = {}
        self._numbers = self._text_bytes = self._looked = 0

    @property
    def identifier(self) -> bytes:
        """The four bytes that say what the file is; fewer where it is shorter."""
        length = min(max(self.size - IDENTIFIER.start, 0), len(IDENTIFIER))
        return bytes(self.source.view(min(IDENTIFIER.start, self.size), length))

    def root(self, identifier: bytes | None = None) -> Table:
        """The root table. Raises UnknownFormat where the file has another identifier."""
        if identifier is not None and self.identifier != identifier:
            found = self.identifier.decode("ascii", "backslashreplace")
            raise UnknownFormat(
                f"its identifier is {found!r}, not {identifier.decode()!r}", self.path, 4
            )
        return self.table(0)

    def unpack(self, form: struct.Struct, at: int) -> tuple[Any, ...]:
        """The numbers of a struct at `at`, which must lie in the file."""
        inside = at - self._from
        if self._whole or 0 <= inside <= len(self._held) - form.size:
            return form.unpack_from(self._held, inside)
        start = at - at % _HELD
        if at + form.size > start + _HELD:  # it reaches past them: few do
            return form.unpack(self.source.view(at, form.size))
        self._held, self._from = self.source.view(start, min(_HELD, self.size - start)), start
        return form.unpack_from(self._held, at - start)

    def require(self, offset: int, length: int, what: str) -> None:
        """Raise Truncated unless `length` bytes at `offset` lie in the file."""
        if offset + length > self.size:
            raise Truncated(
                f"{what} takes bytes {offset:,} to {offset + length:,} of {self.size:,}: the file "
                "is cut short, or an offset in it is wrong",
                self.path,
                offset,
            )

    def follow(self, at: int, what: str) -> int:
        """Where the offset written at `at` leads. Raises Corrupt and Truncated."""
        if at + OFFSET_BYTES > self.size:
            self.require(at, OFFSET_BYTES, f"the offset of {what}")
        ahead: int = self.unpack(_WORD, at)[0]
        if ahead == 0:
            raise Corrupt(f"the offset of {what} leads to itself", self.path, at)
        # Large models have millions of them: a call the less for each.
        if at + ahead + OFFSET_BYTES > self.size:
            self.require(at + ahead, OFFSET_BYTES, what)
        return at + ahead

    def table(self, at: int, depth: int = 0) -> Table:
        """The table that the offset at `at` leads to."""
        if depth > self.limits.depth:
            raise LimitExceeded("depth", depth, self.limits.depth, self.path, at)
        place = self.follow(at, "a table")
        at = place - self.unpack(_BACK, place)[0]
        return Table(self, place, self._vtables.get(at) or self._vtable(at, place), depth)

    def _vtable(self, at: int, table: int) -> VTable:
        if at < 0:
            raise Corrupt("the table's vtable would begin before the file", self.path, table)
        self.require(at, _VTABLE_HEADER, "a vtable")
        length, inline = self.unpack(_PAIR, at)
        if length < _VTABLE_HEADER or length % 2 or inline < OFFSET_BYTES:
            raise Corrupt(
                f"a vtable of {length} bytes, for a table of {inline}, is none", self.path, at
            )
        self.require(at, length, "a vtable")
        count = length // 2 - 2
        slots = self.unpack(struct.Struct(f"<{count}H"), at + _VTABLE_HEADER)
        self._vtables[at] = found = VTable(at, length, inline, slots)
        return found

    def vector(self, at: int, size: int, what: str = "a vector") -> Vector:
        """The vector that the offset at `at` leads to, its items `size` bytes each."""
        place = self.follow(at, what)
        count: int = self.unpack(_WORD, place)[0]
        if place + OFFSET_BYTES + count * size > self.size:
            self.require(place + OFFSET_BYTES, count * size, f"{what} of {count:,} items")
        return Vector(place + OFFSET_BYTES, count, size)

    def text(self, at: int) -> str:
        r"""The string that the offset at `at` leads to; bytes that are no UTF-8 stay as "\xff".

        Raises LimitExceeded (`member_bytes`, and `keys_bytes` for all of them).
        """
        place = self.vector(at, 1, "a string")
        known: str | None = self._kept.get(place.offset)
        if known is not None:
            return known
        limit = self.limits.member_bytes
        if place.items > limit:
            raise LimitExceeded("member_bytes", place.items, limit, self.path, place.offset)
        self._text_bytes += place.items
        if self._text_bytes > self.limits.keys_bytes:
            limit = self.limits.keys_bytes
            raise LimitExceeded("keys_bytes", self._text_bytes, limit, self.path, place.offset)
        raw = self.source.view(place.offset, place.items)
        found = self._kept[place.offset] = bytes(raw).decode("utf-8", "backslashreplace")
        return found

    def array(self, place: Vector, kind: str) -> Array:
        """A vector's numbers, read-only. Raises LimitExceeded (`vector_passes`)."""
        import numpy as np

        dtype = np.dtype(kind).newbyteorder("<")
        if not place.items:
            return np.empty(0, dtype)
        if self._whole:
            return np.frombuffer(self._held, dtype, place.items, place.offset)
        # Any number of tables may lead to one vector, which is in memory once for each.
        self.look(place.nbytes, place.offset)
        return np.frombuffer(self.source.view(place.offset, place.nbytes), dtype)

    def look(self, nbytes: int, at: int) -> None:
        """Note that a vector at `at` is gone through. Raises LimitExceeded (`vector_passes`)."""
        self._looked += nbytes
        if self._looked > self.limits.vector_passes * self.size:
            passes, limit = self._looked // self.size, self.limits.vector_passes
            raise LimitExceeded("vector_passes", passes, limit, self.path, at)

    def numbers(self, place: Vector, kind: str) -> tuple[Any, ...]:
        """A vector's numbers as Python's. Raises LimitExceeded (`vector_numbers`)."""
        key = (place.offset, kind)
        known: tuple[Any, ...] | None = self._kept.get(key)
        if known is not None:
            return known
        self._numbers += place.items
        if self._numbers > self.limits.vector_numbers:
            limit = self.limits.vector_numbers
            raise LimitExceeded("vector_numbers", self._numbers, limit, self.path, place.offset)
        form = f"<{place.items}{SCALARS[kind].format[1:]}"
        found = self._kept[key] = self.unpack(struct.Struct(form), place.offset)
        return found


class VTable(NamedTuple):
    """Where a table's fields are: bytes from its start by slot, 0 for a field that is absent.

    offset, length: of the vtable itself; inline: bytes of the table, its fields in it.
    """

    offset: int
    length: int
    inline: int
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table at `offset` of the file; fields are asked for by slot, from 0.

    Every method gives None, or the default, for a field that is absent, and raises Truncated or
    Corrupt, with the offset, for one that leads out of the file.
    """

    buffer: Flatbuffer
    offset: int
    vtable: VTable
    depth: int = 0

    def at(self, slot: int) -> int | None:
        """Where the field is, absolute; None where it is absent."""
        slots = self.vtable.slots
        ahead = slots[slot] if slot < len(slots) else 0
        if not ahead:
            return None
        if ahead < OFFSET_BYTES:
            raise Corrupt(
                f"field {slot} lies on the table's own header", self.buffer.path, self.offset
            )
        return self.offset + ahead

    def scalar(self, slot: int, kind: str, default: Any = 0) -> Any:
        """A number of one of SCALARS' types."""
        at = self.at(slot)
        if at is None:
            return default
        form = SCALARS[kind]
        if at + form.size > self.buffer.size:
            self.buffer.require(at, form.size, f"field {slot} of a table")
        return self.buffer.unpack(form, at)[0]

    def struct(self, slot: int, form: str) -> tuple[Any, ...] | None:
        """The members of a struct kept in the table; form: as for `struct.unpack`, padding too."""
        at = self.at(slot)
        if at is None:
            return None
        self.buffer.require(at, struct.calcsize(form), f"field {slot} of a table")
        return self.buffer.unpack(struct.Struct(form), at)

    def text(self, slot: int) -> str | None:
        """A string."""
        at = self.at(slot)
        return None if at is None else self.buffer.text(at)

    def vector(self, slot: int, size: int) -> Vector | None:
        """Where the items of a vector are; size: bytes an item, checked against the file."""
        at = self.at(slot)
        return None if at is None else self.buffer.vector(at, size)

    def array(self, slot: int, kind: str) -> Array | None:
        """A vector of numbers, or of structs (kind: a NumPy dtype), as a view of the file."""
        import numpy as np

        place = self.vector(slot, np.dtype(kind).itemsize)
        return None if place is None else self.buffer.array(place, kind)

    def numbers(self, slot: int, kind: str) -> tuple[Any, ...] | None:
        """A short vector of numbers as Python's."""
        place = self.vector(slot, SCALARS[kind].size)
        return None if place is None else self.buffer.numbers(place, kind)

    def table(self, slot: int) -> Table | None:
        """Another table."""
        at = self.at(slot)
        return None if at is None else self.buffer.table(at, self.depth + 1)

    def tables(self, slot: int) -> Tables | None:
        """A vector of tables, each read when it is asked for."""
        place = self.vector(slot, OFFSET_BYTES)
        return None if place is None else Tables(self.buffer, place, self.depth + 1)

    def texts(self, slot: int) -> Iterator[str]:
        """A vector of strings, one at a time."""
        place = self.vector(slot, OFFSET_BYTES) or Vector(0, 0, OFFSET_BYTES)
        for index in range(place.items):
            yield self.buffer.text(place.offset + index * OFFSET_BYTES)

    def union(self, slot: int) -> tuple[int, Table | None]:
        """(which of the union's types, 0 for none; its table): the type's slot is the first."""
        kind: int = self.scalar(slot, "uint8")
        return kind, self.table(slot + 1) if kind else None


@dataclass(frozen=True, slots=True)
class Tables(Sequence[Table]):
    """The tables of a vector, each read when it is asked for."""

    buffer: Flatbuffer
    place: Vector
    depth: int = 0

    def __len__(self) -> int:
        return self.place.items

    def expect(self) -> None:
        """Say that all of them will be read; more than may be, nobody will read."""
        if self.place.items <= self.buffer.limits.nodes:
            self.buffer.source.expect(self._places())

    def _places(self) -> Iterator[tuple[int, int]]:
        place, size = self.place, self.buffer.size
        offsets = self.buffer.source.view(place.offset, place.nbytes).cast("I")
        for index, ahead in enumerate(offsets):
            at = place.offset + index * OFFSET_BYTES + ahead
            yield at, min(_LOOK, size - at)

    def __iter__(self) -> Iterator[Table]:
        for at in range(self.place.offset, self.place.offset + self.place.nbytes, OFFSET_BYTES):
            yield self.buffer.table(at, self.depth)

    @overload
    def __getitem__(self, index: int) -> Table: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Table]: ...

    def __getitem__(self, index: int | slice) -> Table | Sequence[Table]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        at = self.place.offset + index % len(self) * OFFSET_BYTES
        return self.buffer.table(at, self.depth)

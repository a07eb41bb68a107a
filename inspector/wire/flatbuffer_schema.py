"""What the fields of a flatbuffer's tables mean: schemas as text, values by name, maps of bytes.

A schema says of each table, in the order of their slots, `name:type` for every field, apart by
spaces: a scalar's type ("int32", with "=1" for a default that is not 0), "string", another table,
a union (its type and its value take two slots), one of these in [ ] for a vector of it, or "-" for
a slot that is no longer used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from inspector import deadline
from inspector.errors import LimitExceeded
from inspector.wire.flatbuffer import OFFSET_BYTES, SCALARS, Flatbuffer, Table, Tables, Vector

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Field(NamedTuple):
    """A field of a table. kind: a word of SCALARS, "string", a table's or a union's name."""

    name: str
    slot: int
    kind: str
    many: bool
    default: Any


def _default(kind: str, text: str) -> Any:
    if kind not in SCALARS:
        return None
    if kind == "bool":
        return text == "true"
    return float(text or 0) if kind.startswith("float") else int(text or 0)


@dataclass(frozen=True)
class Schema:
    """Tables by name, and unions: the table of each of their types, from 1 on."""

    tables: Mapping[str, str]
    unions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _parsed: dict[str, Mapping[str, Field]] = field(default_factory=dict, init=False, repr=False)
    _leading: dict[str, Sequence[Field]] = field(default_factory=dict, init=False, repr=False)

    def fields(self, table: str) -> Mapping[str, Field]:
        """The fields of a table by name. Raises KeyError for a table that it has not."""
        if table not in self._parsed:
            found, slot = {}, 0
            for word in self.tables[table].split():
                name, _, kind = word.partition(":")
                kind, _, default = kind.partition("=")
                bare = kind.strip("[]")
                if name != "-":
                    found[name] = Field(name, slot, bare, bare != kind, _default(bare, default))
                slot += 2 if bare in self.unions else 1
            self._parsed[table] = found
        return self._parsed[table]

    def leading(self, table: str) -> Sequence[Field]:
        """Those of its fields that lead out of the table: all but scalars."""
        if table not in self._leading:
            every = self.fields(table).values()
            self._leading[table] = [one for one in every if one.many or one.kind not in SCALARS]
        return self._leading[table]


@dataclass(frozen=True, slots=True)
class Record:
    """A table with its fields' names: `record["name"]` is the value of one.

    A scalar, a string and a table are themselves (an absent one its default, None for the latter
    two); a vector of numbers is a view of the file, one of tables is a sequence of records, both
    empty where absent; a union's value is the record of its type, None for a type unknown.
    """

    table: Table
    kind: str
    schema: Schema

    @property
    def offset(self) -> int:
        return self.table.offset

    def __getitem__(self, name: str) -> Any:
        asked = self._field(name)
        if asked.many:
            if asked.kind in SCALARS:
                return self.array(name)
            if asked.kind == "string":
                return tuple(self.table.texts(asked.slot))
            return self.records(name)
        if asked.kind in SCALARS:
            return self.table.scalar(asked.slot, asked.kind, asked.default)
        if asked.kind == "string":
            return self.table.text(asked.slot)
        return self.record(name)

    def _field(self, name: str) -> Field:
        return self.schema.fields(self.kind)[name]

    def has(self, name: str) -> bool:
        """Whether the field is there at all."""
        return self.table.at(self._field(name).slot) is not None

    def vector(self, name: str) -> Vector | None:
        """Where the items of a vector are."""
        asked = self._field(name)
        size = SCALARS[asked.kind].size if asked.kind in SCALARS else OFFSET_BYTES
        return self.table.vector(asked.slot, size)

    def array(self, name: str) -> Array:
        """A vector of numbers as a view of the file; empty where it is absent."""
        import numpy as np

        asked = self._field(name)
        found = self.table.array(asked.slot, asked.kind)
        return np.empty(0, asked.kind) if found is None else found

    def numbers(self, name: str) -> tuple[Any, ...]:
        """A short vector of numbers as Python's; empty where it is absent."""
        asked = self._field(name)
        return self.table.numbers(asked.slot, asked.kind) or ()

    def record(self, name: str) -> Record | None:
        """Another table, or a union's value."""
        asked = self._field(name)
        if asked.kind in self.schema.unions:
            number, table = self.table.union(asked.slot)
            names = self.schema.unions[asked.kind]
            if table is None or number > len(names):
                return None
            return Record(table, names[number - 1], self.schema)
        table = self.table.table(asked.slot)
        return None if table is None else Record(table, asked.kind, self.schema)

    def choice(self, name: str) -> int:
        """The number of a union's type, 0 for none."""
        return int(self.table.scalar(self._field(name).slot, "uint8"))

    def records(self, name: str) -> Records:
        """A vector of tables."""
        asked = self._field(name)
        found = self.table.tables(asked.slot)
        empty = Tables(self.table.buffer, Vector(0, 0, OFFSET_BYTES))
        records = Records(found if found is not None else empty, asked.kind, self.schema)
        records.expect()
        return records


@dataclass(frozen=True, slots=True)
class Records(Sequence[Record]):
    """The records of a vector, each read when it is asked for."""

    tables: Tables
    kind: str
    schema: Schema

    def __len__(self) -> int:
        return len(self.tables)

    def expect(self) -> None:
        """Say that all of them will be read."""
        self.tables.expect()

    def __iter__(self) -> Iterator[Record]:
        for one in self.tables:
            yield Record(one, self.kind, self.schema)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        return Record(self.tables[index], self.kind, self.schema)


class Claim(NamedTuple):
    """Bytes of the file and what they are.

    what: "root", "vtable", "table", "string", "numbers" or "offsets" (a vector of those); table,
    field: whose; a vector's length and a string's closing NUL are among its bytes.
    """

    offset: int
    length: int
    what: str
    table: str = ""
    field: str = ""


def claims(root: Record) -> Iterator[Claim]:
    """What every table that the schema leads to takes of the file, each place once.

    Raises what reading raises, and LimitExceeded (`nodes`) for more tables and strings than that.
    """
    buffer = root.table.buffer
    identified = 2 * OFFSET_BYTES
    yield Claim(0, min(identified, buffer.size), "root")
    seen: set[tuple[int, str]] = set()
    waiting = [root]
    met = 0
    while waiting:
        deadline.check()
        record = waiting.pop()
        if (record.offset, record.kind) in seen:
            continue
        seen.add((record.offset, record.kind))
        vtable = record.table.vtable
        if (vtable.offset, "") not in seen:
            seen.add((vtable.offset, ""))
            yield Claim(vtable.offset, vtable.length, "vtable", record.kind)
        inline = min(vtable.inline, buffer.size - record.offset)
        yield Claim(record.offset, inline, "table", record.kind)
        for one in record.schema.leading(record.kind):
            if not any(vtable.slots[one.slot : one.slot + 1]):
                continue
            claim, inner = _claim(record, one)
            if claim is not None:
                key = (claim.offset, f"{claim.what} {one.kind}")
                if key in seen:
                    continue
                seen.add(key)
                yield claim
            met += len(inner)
            if met > buffer.limits.nodes:
                raise LimitExceeded("nodes", met, buffer.limits.nodes, buffer.path, record.offset)
            if one.many and one.kind == "string":
                yield from _strings(buffer, claim, record.kind, one.name, seen)
            else:
                waiting.extend(reversed(inner))


def _claim(record: Record, one: Field) -> tuple[Claim | None, Sequence[Record]]:
    """(what a field takes outside its table, the records that it leads to)."""
    at = record.table.at(one.slot)
    if at is None:
        return None, ()
    buffer = record.table.buffer
    if one.many:
        place = record.vector(one.name) or Vector(at, 0, 0)
        what = "numbers" if one.kind in SCALARS else "offsets"
        claim = Claim(
            place.offset - OFFSET_BYTES, place.nbytes + OFFSET_BYTES, what, record.kind, one.name
        )
        tables = what == "offsets" and one.kind != "string"
        return claim, record.records(one.name) if tables else ()
    if one.kind == "string":
        return _string(buffer, at, record.kind, one.name), ()
    inner = record.record(one.name)
    return None, () if inner is None else (inner,)


def _string(buffer: Flatbuffer, at: int, table: str, name: str) -> Claim:
    place = buffer.vector(at, 1, "a string")
    end = place.offset + place.items
    closed = int(end < buffer.size and buffer.source.view(end, 1)[0] == 0)
    return Claim(
        place.offset - OFFSET_BYTES, OFFSET_BYTES + place.items + closed, "string", table, name
    )


def _strings(
    buffer: Flatbuffer, claim: Claim | None, table: str, name: str, seen: set[tuple[int, str]]
) -> Iterator[Claim]:
    if claim is None:
        return
    for index in range(1, claim.length // OFFSET_BYTES):
        found = _string(buffer, claim.offset + index * OFFSET_BYTES, table, name)
        if (found.offset, "string") not in seen:
            seen.add((found.offset, "string"))
            yield found

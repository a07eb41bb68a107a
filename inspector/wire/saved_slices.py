"""TensorFlow's checkpoints of version 1: one table, or one a shard, with names, slices and values.

Source of the format: tensorflow/core/util/saved_tensor_slice.proto and tensor_slice_writer.cc of
TensorFlow 2.21. The record of the empty key lists the tensors; each slice of one has a record of
its own, whose key is that of slices in a bundle. Values are in a TensorProto's typed fields.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector.errors import ArtifactError, Corrupt, LimitExceeded, Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.model import Extent, Payload, Problem, Severity
from inspector.payloads import RawPayload
from inspector.storage import ByteSource, MemorySource
from inspector.wire.protobuf import Message, Wire
from inspector.wire.protobuf_schema import Schema, many, one, parse
from inspector.wire.sstable import SNAPPY, TRAILER, Entry, Table, read_table
from inspector.wire.tensor_bundle import key_name
from inspector.wire.tensor_proto import (
    DTYPES,
    TENSOR_SHAPE,
    TENSOR_SLICE,
    VERSION_DEF,
    shape_of,
)
from inspector.wire.tensor_slices import WHOLE_AXIS, Piece, SlicedPayload, slice_key, tiles
from inspector.wire.tensor_values import read_values

if TYPE_CHECKING:
    import numpy as np

VERSION = 1  # of the format; there was no other
_META, _DATA = 1, 2  # of SavedTensorSlices
_VALUES = 3  # of SavedSlice
_HEAD: Schema = {2: one("versions", VERSION_DEF)}
_TENSOR: Schema = {
    1: one("name", "bytes"),
    2: one("shape", TENSOR_SHAPE),
    3: one("type", "enum"),
    4: many("slices", TENSOR_SLICE),
}
_Extents = tuple[tuple[int, int], ...]  # (start, length) of each axis, as stored


class Part(NamedTuple):
    """A slice as it is stored. starts, lengths: of each axis; payload: None for strings.

    extents: where its values are; none in a block that is compressed.
    """

    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    extents: tuple[Extent, ...]
    payload: Payload | None


@dataclass(frozen=True, slots=True)
class SavedTensor:
    """A tensor. dtype: TensorFlow's name; values: the dtype that its values are read as.

    shape: None where no tensor can have it; payload: None for strings, and where a problem says
    why its values cannot be read. compressed: some of it is in a compressed block.
    """

    name: str
    dtype: str
    values: str | None
    shape: tuple[int, ...] | None
    parts: tuple[Part, ...]
    compressed: bool = False
    payload: Payload | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SavedSlices:
    """A checkpoint. overhead: with the tensors' extents, the size of all its tables."""

    tensors: tuple[SavedTensor, ...]
    overhead: dict[str, int]
    problems: tuple[Problem, ...]


def is_saved_slices(table: Table) -> bool:
    """Whether a table is a checkpoint of version 1, and not the index of a bundle.

    Both have a record of the empty key: here its first field is a message, there a number.
    """
    first = next(table.entries(), None)
    if first is None or first.key:
        return False
    message = Message(first.source, first.offset, first.length, table.limits)
    found = next(message.fields(), None)
    return found is not None and found.number == _META and found.wire == Wire.BYTES


def read_saved_slices(sources: Sequence[ByteSource], limits: Limits = DEFAULT) -> SavedSlices:
    """The tensors of a checkpoint in these files, its shards. Reads no value.

    Raises what `read_table` raises, Corrupt (no list of tensors), Unsupported (a later version),
    LimitExceeded (`tensors`, `blocks_bytes`). What is wrong with a tensor is a problem.
    """
    reader = _Reader(limits)
    for source in sources:
        reader.add(read_table(source, limits))
    return reader.finish()


class _Listed(NamedTuple):
    number: int
    shape: tuple[int, ...] | None
    slices: list[tuple[_Extents, bytes, str]]  # the slice, its key, the file that lists it


class _Reader:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.problems: list[Problem] = []
        self.listed: dict[bytes, _Listed] = {}
        self.records: dict[tuple[str, bytes], Entry] = {}
        self.tables: list[Table] = []
        self.inflated = 0

    def problem(self, code: str, message: str, path: str, at: int | None = None) -> None:
        self.problems.append(Problem(code, Severity.ERROR, message, path, at))

    def add(self, table: Table) -> None:
        """Take one file in."""
        path = table.source.path
        self.tables.append(table)
        self.problems += table.problems
        records = table.entries()
        head = next(records, None)
        if head is None or head.key:
            raise Corrupt("has no list of tensors: its first key is no empty one", path)
        blocks: set[int] = set()
        for record in records:
            self.records.setdefault((path, record.key), record)
            if record.source is not table.source and id(record.source) not in blocks:
                blocks.add(id(record.source))
                self.inflated += record.source.size
                if self.inflated > self.limits.blocks_bytes:
                    most = self.limits.blocks_bytes
                    raise LimitExceeded("blocks_bytes", self.inflated, most, path)
        meta = Message(head.source, head.offset, head.length, self.limits).find(_META)
        if meta is None:
            raise Corrupt("has no list of tensors", path, head.offset)
        versions = parse(meta, _HEAD)["versions"] or {"min_consumer": 0, "bad_consumers": []}
        if versions["min_consumer"] > VERSION or VERSION in versions["bad_consumers"]:
            raise Unsupported(
                f"is written for readers of version {versions['min_consumer']} of the format",
                path,
                head.offset,
            )
        for one_tensor in meta.each(1):
            self._list(one_tensor, path)

    def _list(self, message: Message, path: str) -> None:
        """Note a tensor of one file's list: others may have more of its slices."""
        values = parse(message, _TENSOR)
        place = values["name"]
        raw = b"" if place is None else bytes(message.source.view(place.offset, place.length))
        shape = shape_of(values["shape"])
        known = self.listed.get(raw)
        if known is None:
            if len(self.listed) >= self.limits.tensors:
                most = self.limits.tensors
                raise LimitExceeded("tensors", len(self.listed) + 1, most, path, message.offset)
            known = self.listed[raw] = _Listed(values["type"], shape, [])
        elif (known.number, known.shape) != (values["type"], shape):
            what = f"{key_name(raw)} has another dtype or shape than in the files before"
            self.problem("slices-differ", what, path, message.offset)
            return
        for proto in values["slices"]:
            extents = tuple(
                (axis["start"], WHOLE_AXIS if axis["length"] is None else axis["length"])
                for axis in proto["extent"]
            )
            known.slices.append((extents, slice_key(raw, extents), path))

    def finish(self) -> SavedSlices:
        """Look every slice up."""
        used: set[tuple[str, bytes]] = set()
        tensors = tuple(self._tensor(raw, listed, used) for raw, listed in self.listed.items())
        stray = [key for key in self.records if key not in used]
        if stray:
            path, key = stray[0]
            more = f" and {len(stray) - 1:,} more" if stray[1:] else ""
            self.problem(
                "slices-stray", f"{key_name(key)}{more}: of no tensor that is listed", path
            )
        return SavedSlices(tensors, self._overhead(tensors), tuple(self.problems))

    def _tensor(self, raw: bytes, listed: _Listed, used: set[tuple[str, bytes]]) -> SavedTensor:
        name, shape = key_name(raw), listed.shape
        dtype = DTYPES.get(listed.number)
        label = f"unknown ({listed.number})" if dtype is None else dtype.name
        values = None if dtype is None else dtype.values
        path = listed.slices[0][2] if listed.slices else self.tables[0].source.path
        fault = None
        if dtype is None or shape is None:
            fault = f"{label} of shape {shape} is none"
        elif len(listed.slices) > self.limits.slices:
            fault = LimitExceeded("slices", len(listed.slices), self.limits.slices, path).message
        parts: list[Part] = []
        compressed = False
        if fault is None:
            try:
                for extents, key, where in listed.slices:
                    if (where, key) in used:
                        raise Corrupt("a slice is listed twice", where)
                    used.add((where, key))
                    record = self.records.get((where, key))
                    parts.append(self._part(listed.number, shape or (), extents, record, where))
                    compressed |= record is not None and not parts[-1].extents
            except ArtifactError as error:
                fault = error.message
        if fault is None and not _is_whole(parts, shape or ()):
            fault = f"its {len(parts):,} slices do not make up the whole, each value once"
        if fault is not None:
            self.problem("slices-tensor", f"{name}: {fault}", path)
        payload = None if fault is not None or values is None else _payload(parts, shape, values)
        return SavedTensor(name, label, values, shape, tuple(parts), compressed, payload)

    def _part(
        self,
        number: int,
        shape: tuple[int, ...],
        extents: _Extents,
        record: Entry | None,
        path: str,
    ) -> Part:
        """One slice. Raises Corrupt where it is none of this tensor, or its values do not fit."""
        if len(extents) != len(shape):
            raise Corrupt(f"a slice has {len(extents)} axes, its tensor {len(shape)}", path)
        bounds = [
            (0, side) if length == WHOLE_AXIS else (start, length)
            for (start, length), side in zip(extents, shape, strict=True)
        ]
        if any(
            not 0 <= start <= start + length <= side or length < 0
            for (start, length), side in zip(bounds, shape, strict=True)
        ):
            raise Corrupt(f"a slice lies outside its shape {shape}", path)
        if record is None:
            raise Corrupt(f"the slice from {tuple(at for at, _ in bounds)} on is missing", path)
        lengths = tuple(length for _, length in bounds)
        message = Message(record.source, record.offset, record.length, self.limits)
        proto = message.find(_DATA, _VALUES)
        elements = math.prod(lengths)
        if proto is None:
            raise Corrupt("a slice has no values", path, record.offset)
        value = read_values(proto, number, lengths)
        if value.fault is not None or value.stored != elements:
            why = value.fault or f"a slice has {value.stored:,} values, and needs {elements:,}"
            raise Corrupt(why, path, record.offset)
        plain = record.source.path == path
        found = tuple(Extent(path, *span) for span in value.spans) if plain else ()
        return Part(tuple(at for at, _ in bounds), lengths, found, value.payload)

    def _overhead(self, tensors: tuple[SavedTensor, ...]) -> dict[str, int]:
        held = sum(e.length for t in tensors for part in t.parts for e in part.extents)
        gaps = sum(table.overhead.get("table gaps", 0) for table in self.tables)
        packed = sum(map(_compressed_bytes, self.tables))
        total = sum(table.source.size for table in self.tables)
        found = {"index": total - held - gaps - packed, "gaps": gaps, "compressed blocks": packed}
        return {label: size for label, size in found.items() if size}


def _compressed_bytes(table: Table) -> int:
    return sum(
        block.size + TRAILER
        for block in table.blocks
        if table.source.view(block.offset + block.size, 1)[0] == SNAPPY
    )


def _is_whole(parts: Sequence[Part], shape: tuple[int, ...]) -> bool:
    boxes = [tuple(zip(one.starts, one.lengths, strict=True)) for one in parts]
    return bool(parts) and tiles(boxes, shape) is True


def _payload(parts: Sequence[Part], shape: tuple[int, ...] | None, dtype: str) -> Payload | None:
    if len(parts) == 1:
        return parts[0].payload
    return PartsPayload(tuple(parts), shape or (), dtype)


@dataclass(frozen=True, slots=True)
class PartsPayload:
    """Values of a tensor whose parts make up the whole of `shape`."""

    parts: tuple[Part, ...]
    shape: tuple[int, ...]
    dtype: str

    def blocks(self, max_bytes: int) -> Iterator[np.ndarray[Any, Any]]:
        """Values in C order. Parts that lie as varints are decoded whole, 8 bytes each at most."""
        pieces = tuple(
            Piece(one.starts, one.lengths, *_laid_out(one.payload))
            for one in self.parts
            if one.payload is not None
        )
        yield from SlicedPayload(pieces, self.shape, self.dtype).blocks(max_bytes)


def _laid_out(payload: Payload) -> tuple[ByteSource, int]:
    """Where a part's values lie side by side."""
    if isinstance(payload, RawPayload):
        return payload.source, payload.offset
    return MemorySource(b"".join(one.tobytes() for one in payload.blocks(1 << 20)), "a slice"), 0

"""The tensors of a checkpoint and the shards that hold them, once their index has been read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from inspector.errors import Corrupt, NotFound, Truncated, Unsupported
from inspector.model import Extent, Payload, Problem
from inspector.storage import ByteSource
from inspector.wire.crc32c import mask
from inspector.wire.sstable import Table
from inspector.wire.tensor_strings import (
    Order,
    Value,
    plain_crc,
    string_crc,
    string_values,
    variant_crc,
)

_CRCS = {"string": string_crc, "variant": variant_crc}


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a tensor that is stored apart. starts, lengths: of each axis.

    entry: the part as it is stored; None where the index lacks it.
    """

    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    entry: BundleEntry | None


@dataclass(frozen=True, slots=True)
class BundleEntry:
    r"""A tensor of the bundle.

    key: its name; bytes that are no UTF-8 as "\xff". dtype: "float32", "bfloat16", "qint8",
    "string", "resource", "variant" ..., "unknown (99)" for a number that is none. values: the
    dtype that the stored values are read as, with ">" in a big-endian bundle; None for strings
    and the like. shape: None where the index gives none that a tensor can have. shard, offset,
    size, crc32c (masked): as stored; of no meaning where there are slices, which have their own.
    at: where its record is in the index, None in a compressed one. overlaps: whether an earlier
    tensor claims some of its bytes, so that they are not read. payload: None where there are no
    values of a fixed size, or a problem says why they cannot be read.
    """

    key: str
    dtype: str
    values: str | None
    shape: tuple[int, ...] | None
    shard: int
    offset: int
    size: int
    crc32c: int
    at: int | None
    slices: tuple[Slice, ...] = ()
    overlaps: bool = False
    payload: Payload | None = field(default=None, compare=False, repr=False)

    @property
    def elements(self) -> int:
        """Number of values; 0 where the shape is unknown."""
        return 0 if self.shape is None else math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of its values in the shards, as the index gives them."""
        return sum(max(one.size, 0) for one in self.stored())

    def stored(self) -> Iterator[BundleEntry]:
        """The entries that hold its bytes: itself, or its slices."""
        if not self.slices:
            yield self
        for part in self.slices:
            if part.entry is not None:
                yield part.entry


@dataclass(frozen=True, slots=True)
class Shard:
    """A data file. size: None where it cannot be opened; tensors + gaps = size."""

    path: str
    source: ByteSource | None
    tensors: int
    gaps: int

    @property
    def size(self) -> int | None:
        return None if self.source is None else self.source.size


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checkpoint. entries: in key order, the slices inside the tensors they belong to.

    producer: the version of the format that wrote it; index: the table, which has its own
    `overhead`; problems: those of the table included.
    """

    prefix: str
    order: Order
    producer: int
    entries: tuple[BundleEntry, ...]
    shards: tuple[Shard, ...]
    index: Table
    problems: tuple[Problem, ...]
    _by_key: dict[str, BundleEntry] = field(repr=False)

    def get(self, key: str) -> BundleEntry | None:
        """The tensor of a key."""
        return self._by_key.get(key)

    def extents(self, entry: BundleEntry) -> tuple[Extent, ...]:
        """Where its bytes are, slice by slice, as far as they are in the files."""
        found = (_extent(one, self.shards) for one in entry.stored())
        return tuple(extent for extent in found if extent is not None and extent.length)

    def strings(self, entry: BundleEntry) -> Iterator[Value]:
        """The strings of a string tensor in C order, one at a time.

        Raises NotFound, Truncated, Corrupt, Unsupported (no string tensor, or one in slices that
        are not all of the first axis).
        """
        parts = list(entry.stored())
        stacked = all(part.lengths[1:] == (entry.shape or ())[1:] for part in entry.slices)
        whole = sum(one.elements for one in parts) == entry.elements
        if entry.dtype != "string" or not stacked or not whole:
            raise Unsupported(
                f"{entry.key} is read as no list of strings", self.index.source.path, entry.at
            )
        for one in parts:
            source = _source_of(one, self.shards)
            if one.overlaps:
                raise Corrupt(f"{one.key} has bytes of another tensor", source.path, one.offset)
            yield from string_values(source, one.offset, one.size, one.elements)

    def verify(self, entry: BundleEntry) -> bool:
        """Whether the bytes have the crc that the index gives. Raises NotFound, Truncated.

        False too where the bytes are no strings or variants at all, and where they overlap those
        of an earlier tensor. One pass over the bytes.
        """
        for one in entry.stored():
            if one.overlaps:
                return False
            source = _source_of(one, self.shards)
            compute = _CRCS.get(one.dtype, plain_crc)
            try:
                crc = compute(source, one.offset, one.size, one.elements, self.order)
            except (Corrupt, Truncated):
                return False
            if crc is None or mask(crc) != one.crc32c:
                return False
        return all(part.entry is not None for part in entry.slices)


def clipped(entry: BundleEntry, path: str, size: int) -> Extent:
    """The bytes of an entry, as far as a shard of `size` bytes has them."""
    start = min(entry.offset, size)
    return Extent(path, start, min(entry.size, size - start))


def _extent(entry: BundleEntry, shards: tuple[Shard, ...]) -> Extent | None:
    if not 0 <= entry.shard < len(shards) or min(entry.offset, entry.size) < 0:
        return None
    shard = shards[entry.shard]
    return None if shard.size is None else clipped(entry, shard.path, shard.size)


def _source_of(entry: BundleEntry, shards: tuple[Shard, ...]) -> ByteSource:
    """The shard of an entry. Raises NotFound, Corrupt (no such shard)."""
    if not 0 <= entry.shard < len(shards):
        raise Corrupt(f"{entry.key} is in shard {entry.shard}, which is none", "shard")
    shard = shards[entry.shard]
    if shard.source is None:
        raise NotFound(f"the shard that holds {entry.key} is missing", shard.path)
    return shard.source

"""Chunked HDF5 values, decoded by ourselves: no lock of libhdf5's, each chunk once, in any thread.

Source of the layout: HDF5 File Format Specification, VII (chunk indexes) and IV.A.2.i (layout). All
chunks are stored whole, those that reach over the edge too; the last axis varies fastest.
"""

from __future__ import annotations

import array
import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inspector import deadline
from inspector.errors import Corrupt
from inspector.limits import MIB
from inspector.payloads import numpy_dtype
from inspector.storage import ByteSource
from inspector.wire.hdf5_filters import BrokenChunk, Bytes, Pipeline

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Slab = tuple[slice, ...]

# Values that are decoded before any is handed out: most of them, and as many as are worth a go.
SLAB_BYTES = 16 * MIB
_ENOUGH = 1 * MIB
# What all chunks that are decoded at this moment may take; a larger one is decoded alone.
_ROOM_BYTES = 96 * MIB
# A chunk being decoded is there as it is stored, which may be larger, and as its values.
_COPIES = 3
# Room for chunks so large is taken when it is needed, for less it is kept.
_KEPT_BYTES = 4 * MIB
# Linear places of chunks have to fit in int64.
_MOST_CHUNKS = 1 << 62


class _Room:
    """So many bytes that threads may take together; who asks for more than all gets all."""

    def __init__(self, nbytes: int) -> None:
        self._all = self._free = nbytes
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, nbytes: int) -> Iterator[None]:
        """Wait until there is room for `nbytes`, and keep it."""
        share = min(nbytes, self._all)
        with self._changed:
            while self._free < share:
                self._changed.wait(0.1)
                deadline.check()
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()


_room = _Room(_ROOM_BYTES)


class _Bench:
    """Memory to decode chunks in, one after the other: fresh memory would cost as much as zlib."""

    def __init__(self) -> None:
        self._kept: dict[str, Bytes] = {}

    def space(self, use: str, nbytes: int) -> Bytes:
        """So many bytes, good until they are asked for again for the same use."""
        found = self._kept.get(use)
        if found is None or len(found) < nbytes:
            found = np.empty(nbytes, np.uint8)
            if nbytes <= _KEPT_BYTES:
                self._kept[use] = found
        return found[:nbytes]


@dataclass(frozen=True, slots=True, eq=False)
class ChunkIndex:
    """The chunks that a dataset has: where each belongs and where it is stored.

    places: a row a chunk, where it starts in the values. offsets, sizes: bytes of the file.
    skipped: the filters that were left out, a bit each. These have a value a chunk.
    """

    places: Array
    offsets: Array
    sizes: Array
    skipped: Array

    @staticmethod
    def read(handle: Any, rank: int) -> ChunkIndex:
        """What libhdf5 finds in the index, none of it checked."""
        numbers = array.array("Q")

        def note(info: Any) -> None:
            numbers.extend((*info.chunk_offset, info.byte_offset, info.size, info.filter_mask))

        handle.chunk_iter(note)
        table = np.array(numbers, np.uint64).reshape(-1, rank + 3)
        return ChunkIndex(table[:, :rank], *table[:, rank:].T)

    def taken(self, chosen: Array) -> ChunkIndex:
        """Some of the chunks, by place or by flag."""
        return ChunkIndex(
            self.places[chosen], self.offsets[chosen], self.sizes[chosen], self.skipped[chosen]
        )

    def inside(self, nbytes: int) -> Array:
        """Which chunks have bytes, and all of them in a file of `nbytes`."""
        total = np.uint64(nbytes)
        # The end of a chunk of a broken file may be past what a number can hold.
        left = total - np.minimum(self.offsets, total)
        found: Array = (self.sizes > 0) & (self.sizes <= left)
        return found

    def plausible(self, shape: Shape, chunk: Shape, plain: int, filters: int) -> Array:
        """Which chunks are on the grid, in no other's place, and as large as they must be.

        plain: bytes of a chunk's values; filters: how many a chunk may have passed.
        """
        every = np.uint64((1 << filters) - 1)
        unfiltered = (self.skipped & every) == every
        found: Array = (self.sizes == plain) | ~unfiltered
        sides, steps = np.array(shape, np.uint64), np.array(chunk, np.uint64)
        found &= ((self.places < sides) & (self.places % steps == 0)).all(axis=1)
        once = np.zeros(len(found), bool)
        once[np.unique(self.places, axis=0, return_index=True)[1]] = True
        found &= once
        return found


@dataclass(frozen=True, slots=True, eq=False)
class DecodedPayload:
    """The values of a chunked dataset.

    shape, chunk: sides in values. fill: bytes of the value that missing chunks have. index: sound,
    in the order of `keys`, which are the chunks' places in the grid, counted in C order.
    start, count: the part of the values that this is of, in C order.
    """

    source: ByteSource
    path: str
    shape: Shape
    chunk: Shape
    dtype: str
    fill: bytes
    pipeline: Pipeline
    index: ChunkIndex
    keys: Array
    start: int
    count: int

    @property
    def grain(self) -> int:
        """Values of a row of chunks: parts that are cut there have no chunk in common."""
        return self.chunk[0] * math.prod(self.shape[1:])

    def part(self, start: int, count: int) -> DecodedPayload:
        """`count` values from the `start`-th on, in C order."""
        return replace(self, start=self.start + start, count=count)

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """C order, at most `max_bytes` at a time, each good until the next one. Raises Corrupt."""
        dtype = numpy_dtype(self.dtype)
        step = max(max_bytes // dtype.itemsize, 1)
        end, row = self.start + self.count, math.prod(self.shape[1:])
        if not self.count:
            return
        buffer, bench = np.empty(0, dtype), _Bench()
        rows = self.start // row, -(-end // row)
        self.source.expect(self._places())
        done = rows[0] * row
        for slab in slabs(self.shape, self.chunk, dtype.itemsize, rows):
            sides = [part.stop - part.start for part in slab]
            size = math.prod(sides)
            if done >= end:
                return
            done += size
            if done <= self.start:
                continue
            if buffer.size < size:
                buffer = np.empty(size, dtype)
            values = buffer[:size]
            self._decode(slab, values.reshape(sides), bench)
            first = done - size
            wanted = values[max(self.start - first, 0) : end - first]
            for at in range(0, wanted.size, step):
                yield wanted[at : at + step]

    def _places(self) -> Iterator[tuple[int, int]]:
        """Where the chunks of its rows are stored."""
        row = math.prod(self.shape[1:])
        if not self.count or not row:
            return
        along = math.prod(grid(self.shape, self.chunk)[1:])
        first = self.start // row // self.chunk[0]
        last = (self.start + self.count - 1) // row // self.chunk[0]
        low, high = np.searchsorted(self.keys, [first * along, (last + 1) * along])
        some = self.index.offsets[low:high], self.index.sizes[low:high]
        yield from zip(some[0].tolist(), some[1].tolist(), strict=True)

    def _decode(self, slab: Slab, values: Array, bench: _Bench) -> None:
        """Fill `values` with those of a slab."""
        chunks, cells = self._chunks_of(slab)
        if len(chunks) < math.prod(
            -(-part.stop // side) - part.start // side
            for part, side in zip(slab, self.chunk, strict=True)
        ):
            values[...] = np.frombuffer(self.fill, values.dtype)[0]
        for number, cell in zip(chunks, cells, strict=True):
            self._place(number, cell, slab, values, bench)

    def _chunks_of(self, slab: Slab) -> tuple[list[int], list[tuple[int, ...]]]:
        """The stored chunks that have values of a slab: their numbers in the index, their cells."""
        ranges = [
            np.arange(part.start // side, -(-part.stop // side))
            for part, side in zip(slab, self.chunk, strict=True)
        ]
        keys = np.zeros((), np.int64)
        for along, length in zip(ranges, grid(self.shape, self.chunk), strict=True):
            keys = keys[..., None] * length + along
        numbers = np.searchsorted(self.keys, keys)
        there = self.keys[np.minimum(numbers, len(self.keys) - 1)] == keys
        cells = [along[at].tolist() for along, at in zip(ranges, np.nonzero(there), strict=True)]
        return numbers[there].tolist(), list(zip(*cells, strict=True))

    def _place(
        self, number: int, cell: tuple[int, ...], slab: Slab, values: Array, bench: _Bench
    ) -> None:
        """Decode a chunk, and put what a slab has of it where it belongs."""
        inside, target = [], []
        for at, side, part in zip(cell, self.chunk, slab, strict=True):
            start, stop = max(at * side, part.start), min((at + 1) * side, part.stop)
            inside.append(slice(start - at * side, stop - at * side))
            target.append(slice(start - part.start, stop - part.start))
        wanted = values[tuple(target)]
        plain = self.pipeline.plain
        with _room.taken(_COPIES * plain):
            if wanted.nbytes == plain and wanted.flags.c_contiguous:
                self._read(number, wanted.reshape(-1).view(np.uint8), bench)
                return
            found = bench.space("values", plain)
            self._read(number, found, bench)
            wanted[...] = found.view(values.dtype).reshape(self.chunk)[tuple(inside)]

    def _read(self, number: int, out: Bytes, bench: _Bench) -> None:
        """Decode a chunk into `out`."""
        deadline.check()
        offset, size = int(self.index.offsets[number]), int(self.index.sizes[number])
        try:
            if size > self.pipeline.most:
                raise BrokenChunk(f"a chunk of {len(out):,} bytes claims to take {size:,}")
            if not self.pipeline.places:
                self.source.readinto(offset, out.data)
                return
            stored = bench.space("stored", size)
            self.source.readinto(offset, stored.data)
            self.pipeline.undo(stored, int(self.index.skipped[number]), out)
        except BrokenChunk as error:
            message = f"the values cannot be read: {error}"
            raise Corrupt(message, self.path, offset) from error


def decoded(
    source: ByteSource,
    path: str,
    dtype: str,
    shape: Shape,
    chunk: Shape,
    fill: bytes,
    filters: Sequence[tuple[int, Sequence[int]]],
    index: ChunkIndex,
) -> DecodedPayload | None:
    """The payload of sound chunks; None where only libhdf5 can decode them.

    filters: (number, parameters) of each, in the order in which they were applied.
    """
    plain = math.prod(chunk) * len(fill)
    pipeline = Pipeline.of(filters, plain)
    lengths = grid(shape, chunk)
    if pipeline is None or math.prod(lengths) > _MOST_CHUNKS or not len(index.sizes):
        return None
    # Whether chunks over the edge pass the filters is an option of the dataset's that h5py does
    # not tell; one that is as large as its values may not have passed them.
    steps = np.array(chunk, np.uint64)
    over = (index.places > np.maximum(np.array(shape, np.uint64), steps) - steps).any(axis=1)
    if filters and (over & (index.sizes == plain) & (index.skipped == 0)).any():
        return None
    keys = np.zeros(len(index.sizes), np.int64)
    for cells, length in zip((index.places // steps).T, lengths, strict=True):
        keys = keys * length + cells.astype(np.int64)
    order = np.argsort(keys)
    return DecodedPayload(
        source,
        path,
        shape,
        chunk,
        dtype,
        fill,
        pipeline,
        index.taken(order),
        keys[order],
        0,
        math.prod(shape),
    )


def grid(shape: Shape, chunk: Shape) -> list[int]:
    """How many chunks there are along each axis."""
    return [-(-side // step) for side, step in zip(shape, chunk, strict=True)]


def slabs(
    shape: Shape, chunk: Shape, itemsize: int, rows: tuple[int, int] | None = None
) -> Iterator[Slab]:
    """Slabs in C order, by whole chunks along the first axis where these fit in SLAB_BYTES.

    rows: from where to where along the first axis.
    """
    if not shape:
        yield ()
        return
    start, end = rows or (0, shape[0])
    row = max(itemsize * math.prod(shape[1:]), 1)
    if row > SLAB_BYTES and len(shape) > 1:
        for index in range(start, end):
            for rest in slabs(shape[1:], chunk[1:], itemsize):
                yield (slice(index, index + 1), *rest)
        return
    fit = max(SLAB_BYTES // row, 1)
    # A row of chunks that does not fit is decoded as often as it has pieces: as few as can be.
    pieces = -(-chunk[0] // fit)
    step = -(-chunk[0] // pieces)
    band = max(min(_ENOUGH, SLAB_BYTES) // row // chunk[0], 1) * chunk[0]
    step = band if pieces == 1 else step
    while start < end:
        base = start - start % band
        stop = min(base + ((start - base) // step + 1) * step, base + band, end)
        yield (slice(start, stop), *(slice(0, side) for side in shape[1:]))
        start = stop

"""Tensors that a .tflite file keeps without their zeros: their format, and their values in C order.

Source of the format: SparsityParameters and DimensionMetadata of LiteRT's schema, after TACO ("The
tensor algebra compiler", Kjolstad et al. 2017). Values are stored as a tree is walked whose levels
are the sides of the tensor in `traversal_order`, and the innermost ones those of the blocks, which
`block_map` splits off sides. A dense level has each of its indices under every node. A sparse one
has, under node number p of the level above, the indices
`array_indices[array_segments[p] : array_segments[p + 1]]`. What is not stored is 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.errors import Corrupt, LimitExceeded, Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.payloads import RawPayload
from inspector.wire.flatbuffer_schema import Record
from inspector.wire.tflite_schema import ENUMS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_DENSE, _SPARSE = range(2)
_PLACE_BYTES = 8  # of a stored value's place in the tensor


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One level of the tree.

    side: of the tensor; block: it is the inner part of a side that is in blocks. size: how many
    indices it can have. segments, indices: of a sparse level, None of a dense one.
    """

    side: int
    block: bool
    size: int
    segments: Array | None = None
    indices: Array | None = None

    @property
    def dense(self) -> bool:
        return self.segments is None


@dataclass(frozen=True, slots=True, eq=False)
class Sparsity:
    """How a tensor is stored, checked: every index in it is in its place.

    shape: of the tensor; levels: outermost first; stored: number of stored values; index_bytes: of
    the vectors of segments and indices.
    """

    shape: tuple[int, ...]
    levels: tuple[Level, ...]
    stored: int
    index_bytes: int

    @property
    def block(self) -> tuple[int, ...] | None:
        """The blocks' shape, 1 along sides that are not split; None where there are none."""
        sides = [1] * len(self.shape)
        for level in self.levels:
            if level.block:
                sides[level.side] *= level.size
        return tuple(sides) if any(level.block for level in self.levels) else None

    @property
    def format(self) -> str:
        """In words: "CSR", "block CSR 1x4", "dense"."""
        if all(level.dense for level in self.levels):
            return "dense"
        block = self.block
        return "CSR" if block is None else f"block CSR {'x'.join(map(str, block))}"

    @property
    def in_order(self) -> bool:
        """Whether the values are stored in C order."""
        # A level of one index does not change the order of any.
        sides = [level.side for level in self.levels if level.size > 1]
        return sides == sorted(sides)


def read_sparsity(
    record: Record, shape: Sequence[int], stored: int, limits: Limits = DEFAULT
) -> Sparsity:
    """The sparsity of a tensor of this shape, of which the buffer holds `stored` values.

    Raises Corrupt for what does not fit together (levels, sizes, segments, indices, the number of
    values), Unsupported for a level of an unknown kind and for sparse blocks, and LimitExceeded
    (`bomb_ratio`) for a tensor that is as good as nothing but its declared size.
    """
    path = record.table.buffer.path
    if any(side < 0 for side in shape):
        raise Corrupt(f"its shape {_few(shape)} is none", path, record.offset)
    order, blocks = record.numbers("traversal_order"), record.numbers("block_map")
    metadata, rank = record.records("dim_metadata"), len(shape)
    if sorted(order[:rank]) != list(range(rank)) or sorted(order[rank:]) != list(
        range(rank, rank + len(blocks))
    ):
        raise Corrupt(f"its traversal order {_few(order)} is none", path, record.offset)
    if len(metadata) != len(order) or any(not 0 <= one < rank for one in blocks):
        raise Corrupt("the levels of its sparsity do not fit its shape", path, record.offset)
    inner = [metadata[rank + at]["dense_size"] for at in range(len(blocks))]
    sides = list(shape)
    for at, number in enumerate(order[rank:]):
        side, size = blocks[number - rank], inner[at]
        if size < 1 or sides[side] % size:
            raise Corrupt(
                f"side {side} of {shape[side]} is in blocks of {size}",
                path,
                metadata[rank + at].offset,
            )
        sides[side] //= size
    levels, nodes, index_bytes = [], 1, 0
    for at, number in enumerate(order):
        block = number >= rank
        side = blocks[number - rank] if block else number
        size = inner[at - rank] if block else sides[side]
        level, nodes = _level(metadata[at], side, size, block, nodes)
        index_bytes += sum(one.nbytes for one in (level.segments, level.indices) if one is not None)
        levels.append(level)
    if nodes != stored:
        raise Corrupt(
            f"its sparsity tells of {nodes:,} values, its buffer has {stored:,}",
            path,
            record.offset,
        )
    elements = math.prod(shape)
    if elements > limits.bomb_bytes and elements > limits.bomb_ratio * (stored + index_bytes):
        raise LimitExceeded("bomb_ratio", elements, limits.bomb_ratio, path, record.offset)
    return Sparsity(tuple(shape), tuple(levels), stored, index_bytes)


def _few(numbers: Sequence[int]) -> str:
    more = ", …" if len(numbers) > 8 else ""
    return f"({', '.join(map(str, numbers[:8]))}{more})"


def _level(record: Record, side: int, size: int, block: bool, parents: int) -> tuple[Level, int]:
    """(the level, the number of its nodes) under so many nodes. Raises as `read_sparsity` does."""
    import numpy as np

    path = record.table.buffer.path
    kind = record["format"]
    if kind == _DENSE:
        if record["dense_size"] != size:
            raise Corrupt(
                f"a level has {record['dense_size']} indices, its side {size}", path, record.offset
            )
        return Level(side, block, size), parents * size
    if kind != _SPARSE or block:
        words = ENUMS["DimensionType"]
        what = words[kind] if 0 <= kind < len(words) else f"DimensionType {kind}"
        raise Unsupported(f"a level of blocks is {what}" if block else f"a level is {what}",
                          path, record.offset)  # fmt: skip
    segments, indices = _values(record, "array_segments"), _values(record, "array_indices")
    if len(segments) <= parents:
        raise Corrupt(
            f"a level has {len(segments):,} segments for {parents:,} nodes", path, record.offset
        )
    segments = segments[: parents + 1]
    if segments[0] != 0 or np.any(segments[1:] < segments[:-1]) or segments[-1] > len(indices):
        raise Corrupt("the segments of a level are not in order", path, record.offset)
    count = int(segments[-1])
    indices = indices[:count]
    if count and (int(indices.min()) < 0 or int(indices.max()) >= size):
        raise Corrupt(f"a level has indices that its side of {size} has not", path, record.offset)
    # Within a segment they go up; from one to the next they may go down.
    falls = np.flatnonzero(indices[1:] <= indices[:-1]) + 1
    if falls.size and not np.all(segments[np.searchsorted(segments, falls)] == falls):
        raise Corrupt("the indices of a level are not in order", path, record.offset)
    return Level(side, block, size, segments, indices), count


def _values(record: Record, name: str) -> Array:
    import numpy as np

    found = record.record(name)
    if found is None:
        path = record.table.buffer.path
        raise Corrupt(f"a sparse level has no {name.replace('_', ' ')}", path, record.offset)
    values: Array = found.array("values")
    found.table.buffer.look(values.nbytes, found.offset)
    return values if values.size else np.zeros(0, "i4")


@dataclass(frozen=True, slots=True, eq=False)
class SparsePayload:
    """The values of a sparse tensor, its zeros among them, in C order.

    values: the stored ones. Blocks without any of those are one 0 over and over. Of a tensor
    that is not stored in C order, the places of the values under one index of its outermost side
    are put in order at once; LimitExceeded (`chunk_bytes`) where those are too many.
    """

    sparsity: Sparsity
    values: RawPayload
    path: str
    limits: Limits = DEFAULT

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """Values in C order. Raises Truncated and LimitExceeded."""
        import numpy as np

        elements = math.prod(self.sparsity.shape)
        pieces = self._pieces(max(max_bytes // _PLACE_BYTES, 1))
        places, values = np.empty(0, "i8"), self.values.window(0, 0)
        step = max(max_bytes // values.itemsize, 1)
        nothing = np.zeros(1, values.dtype)
        more = True
        for start in range(0, elements, step):
            stop = min(start + step, elements)
            block = None
            while True:
                count = int(np.searchsorted(places, stop))
                if count:
                    block = np.zeros(stop - start, values.dtype) if block is None else block
                    block[places[:count] - start] = values[:count]
                    places, values = places[count:], values[count:]
                if places.size or not more:
                    break
                places, values = next(pieces, (places, values))
                more = places.size > 0
            yield np.broadcast_to(nothing, (stop - start,)) if block is None else block

    def _pieces(self, most: int) -> Iterator[tuple[Array, Array]]:
        """(places in the tensor, values) of at least one value each, in order of the places."""
        import numpy as np

        if self.sparsity.in_order:
            for start in range(0, self.sparsity.stored, most):
                count = min(most, self.sparsity.stored - start)
                yield self._places(start, count), self.values.window(start, count)
            return
        for start, count in self._bands(most):
            if count * _PLACE_BYTES > self.limits.chunk_bytes:
                raise LimitExceeded(
                    "chunk_bytes", count * _PLACE_BYTES, self.limits.chunk_bytes, self.path
                )
            places = self._places(start, count)
            order = np.argsort(places, kind="stable")
            yield places[order], self.values.window(start, count)[order]

    def _bands(self, most: int) -> Iterator[tuple[int, int]]:
        """(first stored value, their number) of runs that lie apart in the tensor, in order.

        Runs of few values are taken together.
        """
        import numpy as np

        first = self.sparsity.levels[0]
        if first.side != 0:
            yield 0, self.sparsity.stored
            return
        bounds = np.arange((first.size if first.indices is None else first.indices.size) + 1)
        for level in self.sparsity.levels[1:]:
            # Segments can be of 8 bits, which what is under them would not fit.
            below = level.segments
            bounds = bounds * level.size if below is None else below[bounds].astype("i8")
        at = 0
        while at < bounds.size - 1:
            # As many as fit, one at least.
            end = int(np.searchsorted(bounds, bounds[at] + most, side="right")) - 1
            end = max(end, at + 1)
            if bounds[end] > bounds[at]:
                yield int(bounds[at]), int(bounds[end] - bounds[at])
            at = end

    def _places(self, start: int, count: int) -> Array:
        """Where in the tensor `count` stored values from the `start`-th on belong."""
        import numpy as np

        shape = self.sparsity.shape
        strides = [math.prod(shape[side + 1 :]) for side in range(len(shape))]
        inner = [1] * len(shape)  # what one step of a side's outer index is worth
        places = np.zeros(count, "i8")
        nodes = np.arange(start, start + count, dtype="i8")
        for level in reversed(self.sparsity.levels):
            if level.segments is None or level.indices is None:
                index = nodes % level.size
                nodes = nodes // level.size
            else:
                index = level.indices[nodes].astype("i8")
                nodes = np.searchsorted(level.segments, nodes, side="right") - 1
            places += index * (strides[level.side] * inner[level.side])
            if level.block:
                inner[level.side] *= level.size
        return places

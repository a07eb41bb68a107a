"""Tensors that are stored as slices: their keys, whether they make up the whole, their values.

Source of the keys: EncodeTensorNameSlice in tensorflow/core/util/saved_tensor_slice_util.cc, over
the ordered code of tensorflow/core/lib/strings/ordered_code.cc (TensorFlow 2.21).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector.payloads import numpy_dtype
from inspector.storage import ByteSource

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

WHOLE_AXIS = -1
_ESCAPES = {b"\0": b"\xff", b"\xff": b"\0"}
_VISITS = 64  # slices looked at for each slice there is, before a tiling is called intricate


class Piece(NamedTuple):
    """A slice and where its values are, in C order of its own: from `offset` of `source` on."""

    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    source: ByteSource
    offset: int


def slice_key(name: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    """The key under which a slice of a tensor is stored: such keys start with a zero byte.

    extents: (start, length) of each axis, (0, -1) for a whole one.
    """
    escaped = re.sub(rb"[\0\xff]", lambda match: match[0] + _ESCAPES[match[0]], name)
    key = _unsigned(0) + escaped + b"\0\x01" + _unsigned(len(extents))
    return key + b"".join(_signed(one) for extent in extents for one in extent)


def _unsigned(value: int) -> bytes:
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "big")


def _signed(value: int) -> bytes:
    """A signed number whose first bits count its bytes, so that bytes sort as numbers do."""
    bits = (~value if value < 0 else value).bit_length() + 1
    size = (bits + 6) // 7
    # `size` leading ones, then the number's own sign and bits; flipped where it is negative.
    header = ((1 << size) - 1) << (8 * size - size)
    return ((value & ((1 << 8 * size) - 1)) ^ header).to_bytes(size, "big")


def tiles(boxes: Sequence[tuple[tuple[int, int], ...]], shape: tuple[int, ...]) -> bool | None:
    """Whether the boxes make up `shape`, each value once; None where that takes too long to tell.

    boxes: (start, length) of each axis.
    """
    if not math.prod(shape):
        return True
    solid = [box for box in boxes if all(length for _, length in box)]
    # Axis by axis: between two cuts the same boxes are there all the way.
    pending = [(0, solid)]
    left = _VISITS * (len(boxes) + 16)
    while pending:
        axis, group = pending.pop()
        if axis == len(shape):
            if len(group) != 1:
                return False
            continue
        ordered = sorted(group, key=lambda box: box[axis][0])
        cuts = sorted({at for box in group for at in (box[axis][0], sum(box[axis]))})
        if not cuts or cuts[0] != 0 or cuts[-1] != shape[axis]:
            return False
        active: list[tuple[tuple[int, int], ...]] = []
        entered = 0
        for cut in cuts[:-1]:
            active = [box for box in active if sum(box[axis]) > cut]
            while entered < len(ordered) and ordered[entered][axis][0] <= cut:
                active.append(ordered[entered])
                entered += 1
            left -= len(active) + 1
            if left < 0:
                return None
            pending.append((axis + 1, list(active)))
    return True


@dataclass(frozen=True, slots=True)
class SlicedPayload:
    """Values of a tensor whose pieces make up the whole of `shape` (see `tiles`).

    dtype: name as for `numpy_dtype`.
    """

    pieces: tuple[Piece, ...]
    shape: tuple[int, ...]
    dtype: str

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """Values in C order of the whole, at most about `max_bytes` each. Raises Truncated."""
        import numpy as np

        shape = self.shape or (1,)
        if not math.prod(shape):
            return
        dtype = numpy_dtype(self.dtype)
        starts = np.array([piece.starts or (0,) for piece in self.pieces], np.int64)
        sides = np.array([piece.lengths or (1,) for piece in self.pieces], np.int64)
        for begin, end in _regions(shape, max(max_bytes // dtype.itemsize, 1)):
            low, high = np.maximum(starts, begin), np.minimum(starts + sides, end)
            (hits,) = np.nonzero((low < high).all(axis=1))
            out: Array | None = None
            for hit in hits:
                piece = self.pieces[hit]
                part = tuple((high[hit] - low[hit]).tolist())
                # Before the region's axis it has one index, behind it all: a piece's part in it
                # is in one run of the piece's own bytes.
                place = np.ravel_multi_index(tuple(low[hit] - starts[hit]), tuple(sides[hit]))
                view = piece.source.view(
                    piece.offset + int(place) * dtype.itemsize, math.prod(part) * dtype.itemsize
                )
                values = np.frombuffer(view, dtype)
                if len(hits) == 1:
                    yield values
                    break
                if out is None:
                    out = np.empty(np.subtract(end, begin), dtype)
                inside = zip((low[hit] - begin).tolist(), part, strict=True)
                out[tuple(slice(at, at + side) for at, side in inside)] = values.reshape(part)
            if out is not None:
                yield out.reshape(-1)


def _regions(
    shape: tuple[int, ...], count: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(begin, end) of boxes of about `count` values that follow one another in C order."""
    axis = len(shape) - 1
    while axis and math.prod(shape[axis:]) <= count:
        axis -= 1
    inner = shape[axis + 1 :]
    step = max(count // math.prod(inner), 1)
    outer = shape[:axis]
    for flat in range(math.prod(outer)):
        index: tuple[int, ...] = ()
        left = flat
        for side in reversed(outer):
            left, at = divmod(left, side)
            index = (at, *index)
        for start in range(0, shape[axis], step):
            stop = min(start + step, shape[axis])
            yield (
                (*index, start, *(0 for _ in inner)),
                (*(at + 1 for at in index), stop, *inner),
            )

"""The values of a .tflite tensor: as they are, packed in parts of a byte, sparse, or text."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.errors import Corrupt, Truncated
from inspector.limits import DEFAULT, Limits
from inspector.model import Payload
from inspector.payloads import RawPayload
from inspector.storage import ByteSource
from inspector.wire.flatbuffer import Span
from inspector.wire.tflite_model import Quantization, Subgraph, TfliteModel, TfliteTensor
from inspector.wire.tflite_schema import TYPE_BITS
from inspector.wire.tflite_sparse import SparsePayload, Sparsity, read_sparsity

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class PackedPayload:
    """Integers of 2 or 4 bits, the first in the lowest bits of a byte.

    offset: bytes into the source; count: values; what the last byte has beyond them is padding.
    Values come as int8, or uint8 where they are not signed.
    """

    source: ByteSource
    offset: int
    count: int
    bits: int
    signed: bool

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """Values in order, at most about `max_bytes` at a time. Raises Truncated."""
        each = 8 // self.bits
        step = max(max_bytes // each, 1) * each
        self.source.expect([(self.offset, -(-self.count // each))])
        for start in range(0, self.count, step):
            yield self.window(start, min(step, self.count - start))

    def window(self, start: int, count: int) -> Array:
        """`count` values from the `start`-th on. Raises Truncated."""
        import numpy as np

        each = 8 // self.bits
        first, last = start // each, -(-(start + count) // each)
        view = self.source.view(self.offset + first, last - first)
        packed = np.frombuffer(view, "i1" if self.signed else "u1")
        out = np.empty((packed.size, each), packed.dtype)
        for part in range(each):
            # Up, then down again: shifting a signed byte down keeps its sign.
            high = np.left_shift(packed, 8 - self.bits * (part + 1))
            np.right_shift(high, 8 - self.bits, out=out[:, part])
        return out.reshape(-1)[start - first * each :][:count]


@dataclass(frozen=True, slots=True, eq=False)
class CentredPayload:
    """The same values less their zero points: 0 where the real value is 0.

    zero: one zero point for each index of a side; inner: how many values follow one another under
    one of its indices.
    """

    values: Payload
    zero: Array
    inner: int

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """Differences as int64, in C order. Raises what `values` raises."""
        import numpy as np

        at = 0
        # As wide as values come at most, after they have been centred.
        for block in self.values.blocks(max(max_bytes // 8, 1)):
            place = np.arange(at, at + block.size) // self.inner % self.zero.size
            yield block.astype("i8") - self.zero[place]
            at += block.size


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The scales and zero points of a tensor's integers, part by part.

    scale, zero: arrays of the tensor's rank whose sides divide the tensor's own: one number, one
    for each index of a side, or one for each block. ends: the least and the greatest integer.
    """

    shape: tuple[int, ...]
    scale: Array
    zero: Array
    ends: tuple[int, int]

    def steps(self, index: tuple[slice, ...]) -> tuple[Array, Array]:
        """What the values of a part have, as float64 that broadcasts against it."""
        return self._part(self.scale, index), self._part(self.zero, index)

    def _part(self, numbers: Array, index: tuple[slice, ...]) -> Array:
        import numpy as np

        places = [
            np.arange(1) if side == 1 else np.arange(one.start, one.stop) // (full // side)
            for one, side, full in zip(index, numbers.shape, self.shape, strict=True)
        ]
        found = numbers[np.ix_(*places)] if places else numbers
        return np.asarray(found, "f8")


def steps_of(model: TfliteModel, graph: Subgraph, tensor: TfliteTensor) -> Steps | None:
    """How its integers stand for real values; None where they do not, or no scales fit."""
    found, bits = tensor.quantization, TYPE_BITS.get(tensor.dtype)
    if found is None or bits is None or "int" not in tensor.dtype or tensor.shape is None:
        return None
    scale, zero = (_along(one, found.axis, tensor.shape) for one in (found.scale, found.zero_point))
    if found.blocks is not None:
        scale = _numbers(model, graph, found.blocks.scales)
        if found.blocks.zero_points >= 0:
            zero = _numbers(model, graph, found.blocks.zero_points)
    if scale is None or zero is None or not (scale.size and zero.size):
        return None
    if not all(_divides(numbers, tensor.shape) for numbers in (scale, zero)):
        return None
    top = 1 << (bits - 1)
    # Weights leave the least integer out, so that the range is the same on both sides of zero.
    ends = (0, 2 * top - 1) if tensor.dtype.startswith("u") else (1 - top, top - 1)
    return Steps(tensor.shape, scale, zero, ends)


def _along(numbers: Array, axis: int, shape: tuple[int, ...]) -> Array | None:
    """One number for all, or one for each index of a side; without any a zero."""
    import numpy as np

    sides = [1] * len(shape)
    if numbers.size > 1:
        if not 0 <= axis < len(shape) or shape[axis] != numbers.size:
            return None
        sides[axis] = numbers.size
    return np.asarray(numbers if numbers.size else [0.0]).reshape(sides)


def _divides(numbers: Array, shape: tuple[int, ...]) -> bool:
    return numbers.ndim == len(shape) and all(
        side and full % side == 0 for side, full in zip(numbers.shape, shape, strict=True)
    )


def _numbers(model: TfliteModel, graph: Subgraph, index: int) -> Array | None:
    """The values of a tensor that holds scales or zero points."""
    if not 0 <= index < len(graph.tensors):
        return None
    tensor = graph.tensors[index]
    payload = payload_of(model, tensor)
    if not isinstance(payload, RawPayload):
        return None
    return payload.window(0, payload.count).reshape(tensor.shape or ())


def elements(tensor: TfliteTensor) -> int | None:
    """Number of values as the shape says; None where a side is not known."""
    sides = tensor.shape or ()
    return None if any(side < 0 for side in sides) else math.prod(sides)


def stored_bytes(tensor: TfliteTensor) -> int | None:
    """Bytes that the values take where they are not sparse; None where that is not fixed."""
    count, bits = elements(tensor), TYPE_BITS.get(tensor.dtype)
    return None if count is None or bits is None else -(-count * bits // 8)


def sparsity_of(
    model: TfliteModel, tensor: TfliteTensor, limits: Limits = DEFAULT
) -> Sparsity | None:
    """How a sparse tensor is stored; None for one that is not sparse, or has no data.

    Raises what `read_sparsity` raises.
    """
    span, bits = model.data(tensor), TYPE_BITS.get(tensor.dtype)
    if tensor.sparsity is None or span is None or not bits or bits % 8:
        return None
    return read_sparsity(tensor.sparsity, tensor.shape or (), span.length * 8 // bits, limits)


def payload_of(
    model: TfliteModel, tensor: TfliteTensor, limits: Limits = DEFAULT
) -> Payload | None:
    """The tensor's values, read when asked for; None for no data, text and unknown types.

    Raises Corrupt and Truncated where the buffer does not hold what the shape says, and what
    `read_sparsity` raises.
    """
    span, bits, count = model.data(tensor), TYPE_BITS.get(tensor.dtype), elements(tensor)
    if span is None or bits is None:
        return None
    if tensor.sparsity is not None:
        sparsity = sparsity_of(model, tensor, limits)
        if sparsity is None:
            raise Corrupt(f"a sparse tensor is {tensor.dtype}", model.source.path, tensor.offset)
        values = RawPayload(model.source, span.offset, sparsity.stored, tensor.dtype)
        return SparsePayload(sparsity, values, model.source.path, limits)
    if not span.length and count:
        return None
    _fits(model, tensor, span, count, bits)
    count = count or 0
    if bits < 8:
        signed = not tensor.dtype.startswith("u")
        return PackedPayload(model.source, span.offset, count, bits, signed)
    return RawPayload(model.source, span.offset, count, tensor.dtype)


def _fits(
    model: TfliteModel, tensor: TfliteTensor, span: Span, count: int | None, bits: int
) -> None:
    needed = None if count is None else -(-count * bits // 8)
    if needed == span.length:
        return
    what = f"shape {list(tensor.shape or ())} of {tensor.dtype}"
    if needed is None:
        raise Corrupt(f"{what} has values but no fixed size", model.source.path, tensor.offset)
    kind = Truncated if needed > span.length else Corrupt
    raise kind(
        f"{what} takes {needed:,} bytes, its buffer has {span.length:,}",
        model.source.path,
        span.offset,
    )


def centred(payload: Payload, tensor: TfliteTensor) -> Payload | None:
    """The values less their zero points; None where those are all 0, or fit no side."""
    found = tensor.quantization
    if found is None or not found.zero_point.any() or not _fits_side(tensor, found):
        return None
    inner = math.prod((tensor.shape or ())[found.axis + 1 :]) if found.zero_point.size > 1 else 1
    return CentredPayload(payload, found.zero_point, max(inner, 1))


def _fits_side(tensor: TfliteTensor, found: Quantization) -> bool:
    sides = tensor.shape or ()
    return found.zero_point.size == 1 or (
        0 <= found.axis < len(sides) and sides[found.axis] == found.zero_point.size
    )


def strings(model: TfliteModel, tensor: TfliteTensor) -> Iterator[memoryview]:
    """The texts of a string tensor, as bytes.

    Source of the layout: LiteRT's string_util.h: their number, the offset of each from the start
    of the buffer, and where the last one ends, all int32; then the texts. Raises Corrupt.
    """
    import numpy as np

    span = model.data(tensor)
    if span is None or not span.length:
        return
    source, path = model.source, model.source.path
    if span.length < 4:
        raise Corrupt("a tensor of texts has no room for their number", path, span.offset)
    count = int(np.frombuffer(source.view(span.offset, 4), "<i4")[0])
    if count < 0 or 4 * (count + 2) > span.length:
        raise Corrupt(f"a tensor has no room for {count:,} texts", path, span.offset)
    bounds = np.frombuffer(source.view(span.offset + 4, 4 * (count + 1)), "<i4")
    for start, stop in itertools.pairwise(bounds.tolist()):
        if not 0 <= start <= stop <= span.length:
            raise Corrupt("a text lies outside its tensor", path, span.offset)
        yield source.view(span.offset + start, stop - start)


def text_count(model: TfliteModel, tensor: TfliteTensor) -> int | None:
    """How many texts a string tensor has, all looked at; None where they do not fit its buffer.

    Raises LimitExceeded (`vector_passes`).
    """
    import numpy as np

    span = model.data(tensor)
    if span is None or not span.length:
        return 0
    model.root.table.buffer.look(span.length, span.offset)
    head = bytes(model.source.view(span.offset, min(span.length, 4)))
    count = int.from_bytes(head, "little", signed=True)
    if span.length < 4 or count < 0 or span.length < 4 * (count + 2):
        return None
    bounds = np.frombuffer(model.source.view(span.offset + 4, 4 * (count + 1)), "<i4")
    sound = bounds[0] >= 0 and bounds[-1] <= span.length and bool(np.all(bounds[1:] >= bounds[:-1]))
    return count if sound else None

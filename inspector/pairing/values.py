"""Values of several tensors side by side, in slices or tiles, so that memory does not grow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from inspector.errors import ArtifactError, Corrupt, LimitExceeded
from inspector.limits import MIB, Limits
from inspector.model import Payload, Tensor
from inspector.payloads import FilledPayload, RawPayload, numpy_dtype
from inspector.storage import scratch
from inspector.values import Array, family_of, native, slices

# What is smaller than this is held whole, bytes.
_HELD = 16 * MIB
_NONE_YET = np.empty(0)

Index = tuple[slice, ...]


class Slices:
    """The values of a payload in slices of one length, whatever its blocks are.

    room: the slice that is being read, of which the next one takes the place.
    """

    def __init__(self, payload: Payload, limits: Limits) -> None:
        """Read no more than says what the values are. Raises ArtifactError."""
        self._at = 0
        self._raw = payload if isinstance(payload, RawPayload) else None
        if self._raw is not None and (dtype := numpy_dtype(self._raw.dtype)).isnative:
            self.dtype = dtype
        else:
            self._raw = None
            self._blocks = (block for block in payload.blocks(limits.slice_bytes) if block.size)
            self._rest = next(self._blocks, _NONE_YET)
            self.dtype = self._rest.dtype.newbyteorder("=")
        self.room = np.empty(0, self.dtype)

    def make_room(self, length: int) -> None:
        """Slices have so many values."""
        most = length if self._raw is None else min(length, self._raw.count)
        self.room = np.empty(most, self.dtype)

    def take(self, used: int, size: int) -> Array:
        """At most so many values more, behind the `used` of the slice; none at an end."""
        part = self.room[used : used + size]
        if self._raw is not None:
            return self._read(self._raw, part)
        done = 0
        while done < part.size and self._rest.size:
            some = self._rest[: part.size - done]
            part[done : done + some.size] = some
            done += some.size
            self._rest = self._rest[some.size :]
            if not self._rest.size:
                self._rest = next(self._blocks, self._rest)
        return part[:done]

    def _read(self, raw: RawPayload, part: Array) -> Array:
        part = part[: raw.count - self._at]
        if part.size:
            at = raw.offset + self._at * part.itemsize
            raw.source.readinto(at, memoryview(part.view("u1").data))
            self._at += part.size
        return part


def aligned(payloads: Sequence[Payload], limits: Limits) -> Iterator[tuple[tuple[Array, ...], int]]:
    """Slices of equal length of some payloads, and how many times each value stands for.

    They are good until the next ones are asked for.
    """
    if all(isinstance(payload, FilledPayload) for payload in payloads):
        for together in zip(
            *(slices(payload, limits.slice_bytes) for payload in payloads), strict=True
        ):
            yield tuple(values for values, _ in together), together[0][1]
        return
    sides = [Slices(payload, limits) for payload in payloads]
    length = max(limits.slice_bytes // max(side.dtype.itemsize for side in sides), 1)
    for side in sides:
        side.make_room(length)
    while True:
        parts = [side.take(0, length) for side in sides]
        size = min(part.size for part in parts)
        if not size:
            return
        yield tuple(part[:size] for part in parts), 1


def whole(tensor: Tensor, limits: Limits) -> Array:
    """All values in the tensor's shape.

    They go to memory where they are few, and to a temporary file where they are many. Raises
    LimitExceeded (`inflated_bytes`) for more than that, Corrupt, ArtifactError.
    """
    payload = tensor.payload
    if payload is None:
        raise Corrupt(f"{tensor.name} has no values", _path(tensor))
    shape = tensor.shape or ()
    if isinstance(payload, FilledPayload):
        return payload.window(0, tensor.elements).reshape(shape)
    blocks = (block for block in payload.blocks(limits.slice_bytes) if block.size)
    first = next(blocks, _NONE_YET)
    nbytes = tensor.elements * first.itemsize
    if nbytes > limits.inflated_bytes and not isinstance(payload, RawPayload):
        raise LimitExceeded("inflated_bytes", nbytes, limits.inflated_bytes, _path(tensor))
    if nbytes <= _HELD:
        values: Array = np.empty(tensor.elements, first.dtype)
    else:
        values = np.frombuffer(scratch(nbytes), first.dtype)
    at = 0
    for block in itertools.chain([first], blocks):
        if at + block.size > tensor.elements:
            break
        values[at : at + block.size] = block
        at += block.size
    if at != tensor.elements:
        raise Corrupt(f"{tensor.name} has {at:,} values, not {tensor.elements:,}", _path(tensor))
    return values.reshape(shape)


def _path(tensor: Tensor) -> str:
    return tensor.extents[0].file if tensor.extents else ""


def tiles(shape: Sequence[int], most: int) -> Iterator[Index]:
    """Parts of a shape that together are all of it, near to cubes, of at most `most` values.

    A transposed view has its neighbours far apart in one of its sides; a cube has few pages of
    either side.
    """
    sides = list(shape)
    while math.prod(sides) > most:
        longest = max(range(len(sides)), key=sides.__getitem__)
        sides[longest] = -(-sides[longest] // 2)
    if not all(sides):
        return
    steps = [
        [slice(start, min(start + side, full)) for start in range(0, full, side)]
        for side, full in zip(sides, shape, strict=True)
    ]
    yield from itertools.product(*steps)


def digest(tensor: Tensor, limits: Limits) -> bytes | None:
    """A digest of the values and their dtype, whatever the shape.

    None where there are no values, or where they cannot be read.
    """
    import hashlib

    if tensor.payload is None:
        return None
    state = hashlib.blake2b(tensor.dtype.encode(), digest_size=16)
    # Values that are nowhere in the file would be as many as it says.
    if isinstance(tensor.payload, FilledPayload) and tensor.elements > limits.bomb_bytes:
        return None
    try:
        for block in tensor.payload.blocks(limits.slice_bytes):
            values = native(block)
            if values.dtype.hasobject:
                return None
            state.update(values.view(np.uint8).data)
    except ArtifactError:
        return None
    return state.digest()


def all_zero(tensor: Tensor, limits: Limits) -> bool:
    """Whether all values are known to be 0, which of quantized ones is the zero point."""
    payload = tensor.centred or tensor.payload
    if payload is None:
        return False
    try:
        for values, _ in slices(payload, limits.slice_bytes):
            family = family_of(values.dtype)
            if family is None or family.nonzero(values).any():
                return False
    except ArtifactError:
        return False
    return True


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether values of the dtype can be subtracted from one another."""
    return family_of(dtype) is not None


def wide(values: Array) -> Array:
    """The values as float64, or complex128."""
    if values.dtype.kind == "c" or "complex" in values.dtype.name:
        return values.astype("c16")
    return values.astype("f8")


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether values of the dtype are numbers on a line."""
    return is_number(dtype) and dtype.kind not in "cW"


def ulp(values: Array, dtype: np.dtype[Any]) -> Array:
    """The distance of neighbours of a floating dtype around each value (float64)."""
    bits, least, _ = float_format(dtype)
    _, exponent = np.frexp(values)
    found: Array = np.ldexp(1.0, np.maximum(exponent - 1, least) - bits)
    return found


def float_format(dtype: np.dtype[Any]) -> tuple[int, int, float]:
    """(bits of the mantissa, least exponent of a normal number, epsilon) of a floating dtype."""
    import ml_dtypes

    info: Any = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    return int(info.nmant), int(info.minexp), float(info.eps)


def is_narrower(one: str, other: str) -> bool:
    """Whether the first of two floating dtypes tells fewer values apart; of others it does not."""
    if one == other or not ("float" in one and "float" in other):
        return False
    try:
        return float_format(numpy_dtype(one))[2] > float_format(numpy_dtype(other))[2]
    except TypeError:  # a saved report may name any
        return False


# Keras 3 keeps bfloat16 in `.h5` as two opaque bytes, and no attribute there says what they are.
_OPAQUE = frozenset({"V2", "bfloat16"})


def same_dtype(one: str, other: str) -> bool:
    """Whether values of two dtypes are stored alike: the same, or bfloat16 and its bytes."""
    return one == other or {one, other} == _OPAQUE


def named(x: Array, y: Array) -> tuple[Array, Array]:
    """Bytes that no dtype is given of, as what the other side says that they are."""
    if x.dtype.itemsize == y.dtype.itemsize:
        if is_number(x.dtype) and not is_number(y.dtype) and y.dtype.kind == "V":
            return x, y.view(x.dtype)
        if is_number(y.dtype) and not is_number(x.dtype) and x.dtype.kind == "V":
            return x.view(y.dtype), y
    return x, y


def nothing(values: Array) -> Array:
    """The layout of what is not moved."""
    return values


Layout = Callable[[Array], Array]

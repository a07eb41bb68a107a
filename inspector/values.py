"""Tensor values a slice at a time: how those of each family of dtypes are counted.

Slices are small enough for the cache, so that several passes over one cost little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from inspector import deadline
from inspector.model import Payload, Tensor
from inspector.payloads import FilledPayload, numpy_dtype

Array = np.ndarray[Any, Any]

# Past this number of different values they are not counted.
DISTINCT = 256
# The first values looked at, to see that there are too many without sorting a whole slice.
FIRST_LOOK = 1024
# Up to this number of known values, comparing with each is cheaper than sorting the slice.
FEW = 48
# Below this number of bytes, counting them in pairs costs more than it saves.
FEW_CODES = 1 << 16


@dataclass(slots=True)
class Tally:
    """What is known so far. values: the different ones seen, None once they are too many."""

    zeros: int = 0
    minimum: float | int | None = None
    maximum: float | int | None = None
    nan: int = 0
    inf: int = 0
    values: Array | None = None

    def widen(self, low: float, high: float) -> None:
        """Take in a smallest and a largest value."""
        self.minimum = low if self.minimum is None else min(self.minimum, low)
        self.maximum = high if self.maximum is None else max(self.maximum, high)

    def merge(self, other: Tally) -> None:
        """Take in what is known of other values of the tensor."""
        self.zeros += other.zeros
        self.nan += other.nan
        self.inf += other.inf
        if other.minimum is not None and other.maximum is not None:
            self.widen(other.minimum, other.maximum)
        both = None
        if self.values is not None and other.values is not None:
            both = union(self.values, other.values)
        self.values = None if both is None or both.size > DISTINCT else both


class Family(Protocol):
    """How values of some dtypes are looked at.

    nonzero: where they are not zero; the flags are good until it is called again. add: take in a
    slice of at least one value, `filled` of which are not zero, and each of which stands for
    `times` of them.
    """

    def nonzero(self, values: Array) -> Array: ...

    def add(self, values: Array, filled: int, times: int) -> None: ...

    def tally(self) -> Tally: ...


class Plain:
    """Dtypes that NumPy compares fast as they are: integers, float32, float64, longdouble."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.floating = dtype.kind == "f"
        self.seen = Tally(values=np.empty(0, dtype))
        # Memory that is used again beats fresh memory by two to one.
        self.flags = self.known = np.empty(0, bool)

    def nonzero(self, values: Array) -> Array:
        self.flags = reused(self.flags, values.size)
        flags: Array = np.not_equal(values, 0, out=self.flags)
        return flags

    def add(self, values: Array, filled: int, times: int) -> None:
        seen = self.seen
        seen.zeros += times * (values.size - filled)
        low, high = values.min(), values.max()  # a NaN anywhere makes both NaN
        if self.floating and not (math.isfinite(low) and math.isfinite(high)):
            nan = np.isnan(values)
            numbers = values[~nan]
            seen.nan += times * (values.size - numbers.size)
            seen.inf += times * int(np.count_nonzero(np.isinf(numbers)))
            if not numbers.size:
                return
            values, low, high = numbers, numbers.min(), numbers.max()
        self.take(values, low, high)

    def take(self, values: Array, low: Any, high: Any) -> None:
        """Take in values without NaN, of which the least and the greatest are known."""
        if self.seen.values is not None:
            self.distinguish(values[:1] if low == high else values)
        number = float if self.floating else int
        # Adding 0 makes -0.0 one with 0.0: which of them NumPy takes for the least is chance.
        self.seen.widen(number(low) + 0, number(high) + 0)

    def distinguish(self, values: Array) -> None:
        """Take in the different values of a slice without NaN, or give up."""
        known = self.seen.values
        self.known = reused(self.known, values.size)
        start, size = 0, values.size if known is None or known.size else FIRST_LOOK
        while known is not None and start < values.size:
            part = values[start : start + size]
            if known.size > FEW or covered(part, known, self.known[: part.size]) < part.size:
                known = union(known, different(part)) if known.size else different(part)
            start, size = start + size, size * 4
            if known.size > DISTINCT:
                known = None
        self.seen.values = known

    def tally(self) -> Tally:
        return self.seen


def reused(buffer: Array, size: int) -> Array:
    """Room for so many: the start of the array that is given if it is large enough."""
    return buffer[:size] if buffer.size >= size else np.empty(size, buffer.dtype)


def covered(values: Array, known: Array, flags: Array) -> int:
    """How many of the values are among the known ones, which are all different."""
    return sum(int(np.count_nonzero(np.equal(values, one, out=flags))) for one in known)


def different(values: Array) -> Array:
    """The different values, in order; -0.0 is 0.0. There is no NaN among them."""
    ordered = np.sort(values)
    keep = np.ones(ordered.size, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]


def union(known: Array, more: Array) -> Array:
    """The different values of both, in order."""
    return different(np.concatenate([known, more]))


class Half:
    """16-bit floats, of which processors know little: looked at as integers.

    Both are sign and magnitude (IEEE 754 binary16, and the upper half of binary32), so the
    magnitude's bits order the numbers, infinity follows the largest, and NaN is all beyond.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.infinity = int(np.array(np.inf, dtype).view("u2"))
        self.ordered = Plain(np.dtype("i2"))
        self.nan = self.inf = 0
        self.order = self.sign = np.empty(0, "i2")
        self.flags = np.empty(0, bool)

    def nonzero(self, values: Array) -> Array:
        self.order = reused(self.order, values.size)
        self.flags = reused(self.flags, values.size)
        magnitude = np.bitwise_and(values.view("i2"), 0x7FFF, out=self.order)
        flags: Array = np.not_equal(magnitude, 0, out=self.flags)
        return flags

    def add(self, values: Array, filled: int, times: int) -> None:
        bits = values.view("i2")
        self.order, self.sign = reused(self.order, bits.size), reused(self.sign, bits.size)
        self.ordered.seen.zeros += times * (bits.size - filled)
        # Negative numbers count down from 0, so that -0.0 is 0.0 and integers sort as the floats.
        order = np.bitwise_and(bits, 0x7FFF, out=self.order)
        sign = np.right_shift(bits, 15, out=self.sign)
        order ^= sign
        order -= sign
        low, high = int(order.min()), int(order.max())
        if max(high, -low) >= self.infinity:
            magnitude = np.abs(order)
            self.inf += times * int(np.count_nonzero(magnitude == self.infinity))
            order = order[magnitude <= self.infinity]
            self.nan += times * (values.size - order.size)
            if not order.size:
                return
            low, high = int(order.min()), int(order.max())
        self.ordered.take(order, low, high)

    def tally(self) -> Tally:
        seen = self.ordered.tally()
        low, high = self.value(seen.minimum), self.value(seen.maximum)
        return Tally(seen.zeros, low, high, self.nan, self.inf, seen.values)

    def value(self, order: float | None) -> float | None:
        """The float at a place of the order."""
        if order is None:
            return None
        magnitude = float(np.array(abs(int(order)), "u2").view(self.dtype).astype("f8"))
        return -magnitude if order < 0 else magnitude


class Byte:
    """Dtypes of one byte: int8, bool, float8, int4 ... There are 256 codes: count each of them."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        codes = np.arange(256, dtype="u1")
        codes = codes != 0 if dtype.kind == "b" else codes.view(dtype)
        exact = dtype.kind in "biu" or "int" in dtype.name
        self.values = codes.astype("f8").astype("i8") if exact else codes.astype("f8")
        self.counts = np.zeros(256, dtype=object)  # a declared fill value may exceed 64 bits
        # A zero has none of these bits set: of a float8 all but the sign. Some have no zero.
        zeros = np.flatnonzero(self.values == 0)
        self.bits, self.zero = 0xFF & ~int(np.bitwise_or.reduce(zeros)), 0
        if not zeros.size:
            self.bits, self.zero = 0, 1
        self.masked, self.flags = np.empty(0, "u1"), np.empty(0, bool)

    def nonzero(self, values: Array) -> Array:
        codes = values.view("u1")
        self.flags = reused(self.flags, codes.size)
        if self.bits != 0xFF:
            self.masked = reused(self.masked, codes.size)
            codes = np.bitwise_and(codes, self.bits, out=self.masked)
        flags: Array = np.not_equal(codes, self.zero, out=self.flags)
        return flags

    def add(self, values: Array, filled: int, times: int) -> None:  # noqa: ARG002 - counts say it
        codes = values.view("u1")
        if codes.size < FEW_CODES:
            self.counts += np.bincount(codes, minlength=256).astype(object) * times
            return
        # Two codes at once: counting is slow for each value, whatever its size.
        pairs = np.bincount(codes[: codes.size & ~1].view("u2"), minlength=1 << 16)
        table = pairs.reshape(256, 256)
        self.counts += (table.sum(axis=0) + table.sum(axis=1)).astype(object) * times
        if codes.size & 1:
            self.counts[codes[-1]] += times

    def tally(self) -> Tally:
        nan, inf = np.isnan(self.values), np.isinf(self.values)
        numbers = np.unique(self.values[(self.counts > 0) & ~nan])
        seen = Tally(
            zeros=int(self.counts[self.values == 0].sum()),
            nan=int(self.counts[nan].sum()),
            inf=int(self.counts[inf].sum()),
            values=numbers,
        )
        if numbers.size:
            seen.widen(numbers[0].item(), numbers[-1].item())
        return seen


class Complex:
    """Complex numbers have no order: zeros and non-finite only."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.wide = dtype if dtype.kind == "c" else np.dtype("c8")
        self.seen = Tally()

    def nonzero(self, values: Array) -> Array:
        flags: Array = values.astype(self.wide, copy=False) != 0
        return flags

    def add(self, values: Array, filled: int, times: int) -> None:
        values = values.astype(self.wide, copy=False)
        nan = np.isnan(values)
        self.seen.zeros += times * (values.size - filled)
        self.seen.nan += times * int(np.count_nonzero(nan))
        self.seen.inf += times * int(np.count_nonzero(np.isinf(values) & ~nan))

    def tally(self) -> Tally:
        return self.seen


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether values of a dtype are numbers."""
    # W: ml_dtypes' narrow complex types. Its own types are of the kind of raw bytes, V, but not of
    # its class.
    return dtype.kind in "cWbiufV" and not issubclass(dtype.type, np.void)


def family_of(dtype: np.dtype[Any]) -> Family | None:
    """How to look at values of a dtype; None when they are no numbers."""
    if not is_number(dtype):
        return None
    if dtype.kind in "cW":
        return Complex(dtype)
    if dtype.itemsize == 1:
        return Byte(dtype)
    if dtype.itemsize == 2 and dtype.kind in "fV":
        return Half(dtype)
    return Plain(dtype)


def native(values: Array) -> Array:
    """The same values, contiguous and in this machine's byte order: copied only if need be."""
    dtype = values.dtype if values.dtype.isnative else values.dtype.newbyteorder("=")
    return np.ascontiguousarray(values, dtype=dtype)


def slices(payload: Payload, slice_bytes: int) -> Iterator[tuple[Array, int]]:
    """Slices of the payload, of so many bytes at most or one value, and how many times each of its
    values stands for.

    A block that is one value over and over (a fill value, stride 0) comes as that one value.
    """
    if isinstance(payload, FilledPayload):
        # A file of a few bytes may declare more of them than anyone can count through.
        if payload.count:
            yield native(payload.window(0, 1)), payload.count
        return
    for block in payload.blocks(slice_bytes):
        deadline.check()
        if block.size > 1 and block.strides == (0,):
            yield native(block[:1]), block.size
            continue
        step = max(slice_bytes // max(block.itemsize, 1), 1)
        for start in range(0, block.size, step):
            yield native(block[start : start + step]), 1


def declared_dtype(tensor: Tensor) -> np.dtype[Any] | None:
    """The dtype that the tensor names; None for "string" and others that NumPy has not."""
    try:
        return numpy_dtype(tensor.dtype)
    except TypeError:
        return None

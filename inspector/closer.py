"""A closer look at values, for an audit: in the same pass in which they are measured.

It costs about as much again, so it is taken only where it is asked for. Memory is a slice, and a
flag for each position of each side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from inspector.model import Detail, Tensor
from inspector.payloads import FilledPayload
from inspector.values import Array, declared_dtype

# A longer side is no channel, and flags for it would not be small.
LONGEST_SIDE = 1 << 20
# Integers of more bits are sums (biases, counters): they have no ends to speak of.
MOST_BITS = 16


class Closer:
    """Makes the `Detail` of one tensor, slice by slice in C order."""

    def __init__(self, tensor: Tensor) -> None:
        shape, dtype = tensor.shape or (), declared_dtype(tensor)
        self.shape = shape
        self.filled = isinstance(tensor.payload, FilledPayload)
        self.denormals = 0
        self.floating = False
        bounds = None if dtype is None else integer_ends(dtype)
        self.bounds = bounds
        self.ends = [0, 0]
        looked = len(shape) > 1 and 0 < max(shape) <= LONGEST_SIDE and math.prod(shape) > 0
        self.slices = ZeroSlices(shape) if looked else None
        self.centred = tensor.centred is not None
        self.spans: Spans | None = None
        scaled = tensor.quantized
        if scaled is not None and scaled.axis is not None and looked and bounds is not None:
            axis = scaled.axis
            if 0 <= axis < len(shape) and shape[axis] == scaled.count:
                self.spans = Spans(shape, axis)

    def add(self, values: Array, flags: Array, times: int) -> None:
        """Take in a slice of at least one value, each of which stands for `times` of them.

        flags: where they are not zero.
        """
        small = near_zero(values)
        if small is not None:
            self.floating = True
            filled = int(np.count_nonzero(flags))
            self.denormals += times * (small - (values.size - filled))
        if self.bounds is not None:
            low, high = self.bounds
            exact = values if values.dtype.kind in "iu" else values.astype("i1")
            self.ends[0] += times * int(np.count_nonzero(exact <= low))
            self.ends[1] += times * int(np.count_nonzero(exact >= high))
            if self.spans is not None:
                self.spans.add(exact if times == 1 else self._spread(exact, times))
        if self.slices is not None and not self.centred:
            if self.filled:
                self.slices.fill(bool(flags.all()))
            else:
                self.slices.add(flags if times == 1 else self._spread(flags, times))

    def add_centred(self, nonzero: Array) -> None:
        """Take in where a slice of the values less their zero points is not 0."""
        if self.slices is not None:
            self.slices.add(nonzero)

    def detail(self) -> Detail:
        """All that was seen."""
        return Detail(
            denormals=self.denormals if self.floating else None,
            ends=None if self.bounds is None else (self.ends[0], self.ends[1]),
            zero_slices=None if self.slices is None else self.slices.counts(),
            spans=None if self.spans is None else self.spans.pairs(),
        )

    def _spread(self, values: Array, times: int) -> Array:
        """A block of one value as long as it is: no longer than the payload's blocks."""
        return values if self.filled else np.repeat(values, times)


class ZeroSlices:
    """Which positions of each side hold anything but zeros.

    Flags of the last side's rows are folded into one flag a row, which are the flags of the side
    before it, and so on; what is left of a row at the end of a slice waits for the next.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self.used = [np.zeros(side, bool) for side in shape]
        self.rest = [np.empty(0, bool) for _ in shape]

    def add(self, flags: Array) -> None:
        """Take in the flags of a slice: where its values are not zero."""
        for side in reversed(range(len(self.shape))):
            size = self.shape[side]
            if self.rest[side].size:
                flags = np.concatenate([self.rest[side], flags])
            rows = flags.size // size
            whole = flags[: rows * size].reshape(rows, size)
            self.rest[side] = flags[rows * size :].copy()
            if not self.used[side].all():  # most are, after the first slices
                self.used[side] |= whole.any(axis=0)
            flags = np.any(whole, axis=1)

    def fill(self, used: bool) -> None:
        """Take in that all values are zero, or none is."""
        for flags in self.used:
            flags[:] = used

    def counts(self) -> tuple[int, ...]:
        """How many positions of each side hold nothing but zeros."""
        return tuple(int(np.count_nonzero(~flags)) for flags in self.used)


class Spans:
    """The least and the greatest integer of each position of one side."""

    def __init__(self, shape: Sequence[int], axis: int) -> None:
        self.inner = math.prod(shape[axis + 1 :])
        self.side = shape[axis]
        self.at = 0
        self.low = np.full(self.side, np.iinfo("i4").max, "i4")
        self.high = np.full(self.side, np.iinfo("i4").min, "i4")

    def add(self, values: Array) -> None:
        """Take in a slice: runs of `inner` values belong to one position each."""
        first = -self.at % self.inner
        cuts = np.arange(first, values.size, self.inner)
        if first:
            cuts = np.concatenate([[0], cuts])
        places = (self.at + cuts) // self.inner % self.side
        np.minimum.at(self.low, places, np.minimum.reduceat(values, cuts))
        np.maximum.at(self.high, places, np.maximum.reduceat(values, cuts))
        self.at += values.size

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(least, greatest) of each position."""
        return tuple(zip(self.low.tolist(), self.high.tolist(), strict=True))


@lru_cache(64)
def integer_ends(dtype: np.dtype[Any]) -> tuple[int, int] | None:
    """What counts as the ends of a dtype's integers: at most the first, at least the second.

    None for other dtypes, and for integers of more than 16 bits.
    """
    if dtype.kind in "iu":
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    elif "int" in dtype.name:
        import ml_dtypes

        narrow: Any = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
        low, high = int(narrow.min), int(narrow.max)
    else:
        return None
    if high - low >= 1 << MOST_BITS:
        return None
    return (low + 1 if low else low), high


def near_zero(values: Array) -> int | None:
    """How many floats are denormal or zero; None where they are no floats.

    Narrow floats are looked at as integers (see `values.Half`): sign and magnitude.
    """
    dtype = values.dtype
    least = _least_normal(dtype)
    if least is None:
        return None
    if dtype.itemsize == 1:
        codes = np.arange(256, dtype="u1").view(dtype).astype("f8")
        with np.errstate(invalid="ignore"):
            table: Array = np.abs(codes) < least
        return int(np.count_nonzero(table[values.view("u1")]))
    if dtype.itemsize == 2:
        magnitude = values.view("u2") & 0x7FFF
        return int(np.count_nonzero(magnitude < np.array(least, dtype).view("u2")))
    return int(np.count_nonzero(np.abs(values) < least))


@lru_cache(64)
def _least_normal(dtype: np.dtype[Any]) -> Any:
    """The least positive normal number; of a longdouble as one, since a float64 cannot hold it.

    None where the dtype is none of floats.
    """
    if dtype.kind not in "fV" or "int" in dtype.name:
        return None
    if dtype.itemsize > 8:
        return np.finfo(dtype).smallest_normal
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).smallest_normal)  # type: ignore[no-untyped-call]

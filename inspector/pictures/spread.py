"""How values spread: how many are in each bar, whatever their dtype, a slice at a time.

NumPy's own histogram takes many times as long as reading the values.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from inspector.report import Bar
from inspector.values import Array, Byte, reused

EXACT = 1 << 53  # float64 holds every integer up to here
BARS = 24  # of a histogram at most
_MOST = float(np.finfo("f8").max)
# Slices of real numbers, and how many times each value stands for.
Source = Callable[[], Iterator[tuple[Array, int]]]


class Spread(NamedTuple):
    """How many values are in each bar, and how many in none of them."""

    bars: tuple[Bar, ...] = ()
    zeros: int = 0
    not_finite: int = 0


def spread(source: Source, edges: Array, *, zeros_apart: bool = True) -> Spread:
    """All values in bars: from `edges[i]` up to `edges[i + 1]`, the last edge included.

    edges: ascending, float64, two or more, and no value outside of them but 0 and what is not
    finite. zeros_apart: values that are 0 are in no bar.
    """
    count = _Count(edges, zeros_apart)
    with np.errstate(invalid="ignore"):  # NaN is looked for
        for values, times in source():
            count.add(values, times)
        return count.result()


class _Count:
    def __init__(self, edges: Array, zeros_apart: bool) -> None:
        self.edges = edges
        self.zeros_apart = zeros_apart
        self.zeros = self.not_finite = 0
        self._inside = [0] * (edges.size - 1)  # Python's: a fill value may exceed 64 bits
        self._bounds: dict[np.dtype[Any], Array] = {}
        self._bytes: dict[np.dtype[Any], Byte] = {}
        self._halves: dict[np.dtype[Any], Array] = {}
        self._flags = np.empty(0, bool)

    def add(self, values: Array, times: int = 1) -> None:
        """Take in real numbers of this machine's byte order, each of which stands for `times`."""
        dtype = values.dtype
        if dtype.itemsize == 1:
            self._bytes.setdefault(dtype, Byte(dtype)).add(values, 0, times)
        elif dtype.itemsize == 2 and times == 1:
            codes = np.bincount(values.view("u2"), minlength=1 << 16)
            self._halves[dtype] = self._halves.get(dtype, 0) + codes
        else:
            self._compare(values if dtype.char in "fd" else values.astype("f8"), times)

    def result(self) -> Spread:
        """What there is, once all values are in."""
        for family in self._bytes.values():
            self._codes(family.values.astype("f8"), family.counts)
        for dtype, counts in self._halves.items():
            self._codes(np.arange(1 << 16, dtype="u2").view(dtype).astype("f8"), counts)
        edges = self.edges.tolist()
        return Spread(tuple(map(Bar, edges, edges[1:], self._inside)), self.zeros, self.not_finite)

    def _codes(self, values: Array, counts: Array) -> None:
        """Take in how often each value is there."""
        finite, zero = np.isfinite(values), (values == 0) & self.zeros_apart
        self.not_finite += int(counts[~finite].sum())
        self.zeros += int(counts[zero].sum())
        places = self._places(values)
        for at in range(len(self._inside)):
            self._inside[at] += int(counts[(places == at) & finite & ~zero].sum())

    def _compare(self, values: Array, times: int) -> None:
        """Take in floats: each edge is compared with all of them, which processors do fast."""
        flags = self._flags = reused(self._flags, values.size)
        if values.dtype not in self._bounds:
            self._bounds[values.dtype] = bounds(self.edges, values.dtype)
        above = [
            int(np.count_nonzero(np.greater_equal(values, one, out=flags)))
            for one in self._bounds[values.dtype]
        ]
        inside = [one - other for one, other in itertools.pairwise(above)]
        if self.zeros_apart:
            zeros = int(np.count_nonzero(np.equal(values, 0, out=flags)))
            place = int(self._places(np.zeros(1))[0])
            if 0 <= place < len(inside):
                inside[place] -= zeros
            self.zeros += times * zeros
        finite = int(np.count_nonzero(np.isfinite(values, out=flags)))
        self.not_finite += times * (values.size - finite)
        for at, many in enumerate(inside):
            self._inside[at] += times * many

    def _places(self, values: Array) -> Array:
        """Which bar each value is in; -1 or one too many where it is in none."""
        places: Array = np.searchsorted(self.edges, values, "right") - 1
        places[values == self.edges[-1]] = len(self._inside) - 1
        return places


def bounds(edges: Array, dtype: np.dtype[Any]) -> Array:
    """For each edge the least value of a floating dtype that is not below it; for the last one, the
    least that is above it. A value is in a bar when it reaches the bar's, and not the next one's.
    """
    with np.errstate(over="ignore"):
        near = edges.astype(dtype)
        above = np.nextafter(near, dtype.type(np.inf))
    wide = near.astype("f8")  # which holds what the narrower dtype does
    passed = wide < edges
    passed[-1] = wide[-1] <= edges[-1]
    return np.where(passed, above, near)


def span(
    source: Source, minimum: float | None, maximum: float | None, zeros: int
) -> tuple[float, float] | None:
    """The least and the greatest finite value that is not zero; None where there is none.

    minimum, maximum, zeros: of all values that are not NaN, as measured; None where not known. They
    save a look where zero is no end of the range, and nothing is infinite.
    """
    if minimum is not None and maximum is not None:
        ends = minimum, maximum
        if all(map(math.isfinite, ends)) and (not zeros or minimum < 0 < maximum):
            return float(minimum), float(maximum)
    low, high = math.inf, -math.inf
    for values, _ in source():
        wide = values.astype("f8")
        inside = wide[np.isfinite(wide) & (wide != 0)]
        if inside.size:
            low, high = min(low, float(inside.min())), max(high, float(inside.max()))
    return None if low > high else (low, high)


def edges_of(low: float, high: float, bars: int = BARS) -> Array:
    """Edges of so many equally wide bars; of one, where there is one value or nothing between."""
    if low == high:  # half of it to half as much again, which leaves 0 outside
        least, most = sorted((low / 2, low * 1.5))
        return np.array([max(least, -_MOST), min(most, _MOST)])
    scale = 1.0 if math.isfinite(high - low) else 0.25  # twice the largest float is none
    edges = np.linspace(low * scale, high * scale, bars + 1) / scale
    edges[0], edges[-1] = low, high
    return edges if np.all(edges[1:] > edges[:-1]) else np.array([low, high])


def whole_edges(low: int, high: int, bars: int = BARS) -> Array:
    """Edges for integers: each bar holds as many of them, where others would beat against them."""
    width = -(-(high - low + 1) // bars)
    count = -(-(high - low + 1) // width)
    return np.array([float(low + width * at) for at in range(count + 1)])

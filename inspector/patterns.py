"""Structured sparsity of one tensor, in the pass that counts it: N:M along two axes, and blocks.

The tensor is a matrix of `rows` x `columns`: for a Keras kernel the last dimension (outputs) gives
the columns, all others (HWI of a convolution) the rows.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from inspector.model import Pattern

Array = np.ndarray[Any, Any]
Window = Callable[[int, int], Array]  # (first value, number of values) -> 1-D array of booleans

# By M, the Ns: at most N non-zeros among M consecutive values. The pruning toolkit's
# sparsity_m_by_n=(m, n) gives the opposite number: m ZEROS among n, so its (2, 4) is 2:4 here, and
# its (3, 4) is 1:4.
N_OF_M = {4: (1, 2), 8: (4,)}
# (rows, columns) of a tile.
BLOCKS = ((1, 4), (4, 4), (16, 1))
# Every group and tile above begins at a multiple of this, or where its axis begins.
ALIGN = 16
# An N:M pattern is a near miss when at most this share of its groups breaks it ...
NEAR_MISS = 0.1
# ... and fewer than this share of those that zeros strewn at random would break.
BETTER_THAN_CHANCE = 0.5
# Less than this many values are not worth a tile of their own.
FEW = 1 << 16
# Bands of rows are held as one byte a value. Payloads that can only be read in order are not
# looked at when ALIGN rows take more than this, bytes.
BAND_BYTES = 32 << 20
# Those that can be read at any place have a second look, in strips, past so many slices.
BAND_SLICES = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """How a tensor is laid out as a matrix, and along which runs its groups lie.

    rows, columns: sides of the matrix. span: groups down a column start anew every `span` rows.
    run: groups along a row start anew every `run` values. down, along: what the pattern's axis is
    called in each direction.
    """

    rows: int
    columns: int
    span: int
    run: int
    down: str
    along: str

    @classmethod
    def of(cls, shape: tuple[int, ...], outputs_first: bool) -> Self:
        """The layout of a kernel: outputs last (Keras: IO, HWIO) or first (TFLite: OI, OHWI).

        tfmot (pruning_utils.weights_rearrange) turns Dense IO into OI, and Conv2D HWIO into OHWI,
        and groups along the last axis of that: consecutive input channels of one output and one
        place of the window. Hence span is the number of input channels.
        """
        total = math.prod(shape)
        if outputs_first:
            return cls(shape[0], total // shape[0], shape[0], shape[-1], "output", "input")
        return cls(total // shape[-1], shape[-1], shape[-2], shape[-1], "input", "output")

    @property
    def unit(self) -> int:
        """Values after which groups and tiles begin anew, whatever came before them."""
        whole = self.span % max(N_OF_M) == 0 or self.rows == self.span
        return self.columns * (ALIGN if whole else math.lcm(ALIGN, self.span))


class Tile(NamedTuple):
    """A part of the matrix: whole rows or a strip of them, from `row` on.

    flags: True where a value is not zero. filled: how many are. carried: by M, what the tile above
    it saw of groups that it cut; tiles of the same columns come from the top down.
    """

    flags: Array
    row: int
    filled: int
    carried: dict[int, Array]


Seen = dict[tuple[int, int], int]  # by pattern, what a tile has of it


class Check(Protocol):
    """Patterns being counted, whose tiles may come from several threads.

    look: what a tile has of them. take: add that up, one thread at a time; whether it is worth
    going on.
    """

    def look(self, tile: Tile) -> Seen: ...

    def take(self, seen: Seen) -> bool: ...

    def results(self, density: float) -> list[Pattern]: ...


# Where groups of M lie: (tile, the Ms) -> for each M a number for each group, and what a group with
# one value that is not zero has there. A group with more than n has at least n + 1 times that.
Counts = Callable[[Tile, Sequence[int]], Iterator[tuple[int, Array, int]]]


@dataclass(slots=True)
class GroupCheck:
    """N:M along one axis: groups of M values, of which at most N are not zero.

    A group cut short by the end of its axis (`length`) counts as a group (tfmot pads it with
    zeros). lines: how many times the axis is gone along. broken: by (N, M), how many groups break
    it; what is no near miss any more is left out.
    """

    axis: str
    length: int
    lines: int
    counts: Counts
    broken: dict[tuple[int, int], int]

    def groups(self, m: int) -> int:
        """How many groups of M there are."""
        return self.lines * -(-self.length // m)

    def look(self, tile: Tile) -> Seen:
        asked = tuple(self.broken)
        ms = sorted({m for _, m in asked})
        if tile.filled == tile.flags.size and not any(self.length % m for m in ms):
            return {(n, m): tile.filled // m for n, m in asked}
        return {
            (n, m): int(np.count_nonzero(counts >= counts.dtype.type((n + 1) * one)))
            for m, counts, one in self.counts(tile, ms)
            for n in N_OF_M[m]
            if (n, m) in asked
        }

    def take(self, seen: Seen) -> bool:
        for (n, m), broken in seen.items():
            if (n, m) in self.broken:
                self.broken[n, m] += broken
                if self.broken[n, m] > int(self.groups(m) * NEAR_MISS):
                    del self.broken[n, m]
        return bool(self.broken)

    def results(self, density: float) -> list[Pattern]:
        return [
            Pattern(f"{n}:{m}", self.axis, self.groups(m) - broken, self.groups(m), broken == 0)
            for (n, m), broken in self.broken.items()
            if broken <= int(self.groups(m) * near_miss(n, m, density))
        ]


@dataclass(slots=True)
class BlockCheck:
    """Tiles of `height` x `width`, from the first row and column on; those at the far edges are
    cut short. It holds when each is wholly zero or has no zero at all.
    """

    height: int
    width: int
    groups: int
    filled: int = 0

    def look(self, tile: Tile) -> Seen:
        """Blocks that are not zero; nothing where one is neither zero nor full."""
        rows, columns = tile.flags.shape
        if tile.filled in (0, rows * columns):
            blocks = -(-rows // self.height) * -(-columns // self.width)
            return {(self.height, self.width): blocks if tile.filled else 0}
        padded = padded_to(tile.flags, self.height, self.width)
        merged = np.bitwise_or.reduce(padded.reshape(-1, self.height, padded.shape[1]), axis=1)
        used = merged.view(f"u{self.width}") != 0
        filled = int(np.count_nonzero(used))
        # Values in the blocks that are not wholly zero, less what padding added at the edges.
        below, right = padded.shape[0] - rows, padded.shape[1] - columns
        values = filled * self.height * self.width
        if below:
            values -= below * self.width * int(np.count_nonzero(used[-1]))
        if right:
            values -= right * self.height * int(np.count_nonzero(used[:, -1]))
        if below and right:
            values += below * right * int(used[-1, -1])
        return {(self.height, self.width): filled} if values == tile.filled else {}

    def take(self, seen: Seen) -> bool:
        self.filled += sum(seen.values())
        return bool(seen)

    def results(self, density: float) -> list[Pattern]:  # noqa: ARG002 - none breaks it
        held = self.groups - self.filled
        return [Pattern(f"{self.height}x{self.width}", "block", held, self.groups, held > 0)]


@dataclass(frozen=True, slots=True)
class Down:
    """Counts non-zeros of groups down the columns; hands on those of a group that a tile cuts."""

    span: int
    segments: int

    def __call__(self, tile: Tile, ms: Sequence[int]) -> Iterator[tuple[int, Array, int]]:
        total = np.empty((0, 0), "u1")
        before = 0
        for m in ms:
            # Each tile begins with a group, and only the last one of all may end inside one.
            if self.span % m and self.segments > 1:
                total = self.across(tile, m)
            elif m == 2 * before and total.shape[0] % 2 == 0:
                total = total[0::2] + total[1::2]
            else:
                cut = padded_to(tile.flags, m, 1).reshape(-1, m, tile.flags.shape[1])
                total = cut[:, 0] + cut[:, 1]
                for place in range(2, m):
                    total += cut[:, place]
            before = m
            yield m, total, 1

    def across(self, tile: Tile, m: int) -> Array:
        """Counts of groups that begin and end anywhere in tiles."""
        begins = (np.arange(tile.row, tile.row + tile.flags.shape[0] + 1) % self.span) % m == 0
        starts = np.flatnonzero(begins[:-1])
        if not begins[0]:
            starts = np.concatenate([[0], starts])
        counts: Array = np.add.reduceat(tile.flags.view("u1"), starts, axis=0, dtype="u1")
        if not begins[0]:
            counts[0] += tile.carried.pop(m)
        if not begins[-1]:
            tile.carried[m] = counts[-1].copy()
            counts = counts[:-1]
        return counts


@dataclass(frozen=True, slots=True)
class Along:
    """Counts non-zeros of groups along the rows."""

    run: int

    def __call__(self, tile: Tile, ms: Sequence[int]) -> Iterator[tuple[int, Array, int]]:
        rows = tile.flags.reshape(-1, min(self.run, tile.flags.shape[1]))
        for m in ms:
            groups = padded_to(rows, 1, m).view(f"u{m}")
            # Bytes are 0 or 1: multiplying by 0x0101...01 adds all of them up in the highest byte.
            ones = groups.dtype.type(int.from_bytes(b"\x01" * m, "big"))
            yield m, groups * ones, 1 << 8 * (m - 1)


def padded_to(tile: Array, height: int, width: int) -> Array:
    """The tile as contiguous bytes of 0 and 1, with zeros up to a multiple of height and width."""
    rows, columns = tile.shape
    below, right = -rows % height, -columns % width
    if not below and not right:
        return np.ascontiguousarray(tile).view("u1")
    whole = np.zeros((rows + below, columns + right), "u1")
    whole[:rows, :columns] = tile
    return whole


class Search:
    """The sparsity patterns that a tensor holds, or very nearly holds, looked for in its flags.

    A flag is True where a value is not zero. Whoever reads the values in order hands their flags to
    `bands`; several threads may do so at once, each for a part of its own. Where `wide`, that would
    take too much memory, and `in_strips` has a look of its own.

    N:M means at most N non-zeros in each group of M consecutive values. Along "input" the groups
    lie as tfmot lays them (consecutive input channels of one output), along "output" they are
    consecutive outputs of one input. Groups at the end of an axis may be short, and count; an axis
    shorter than M has no pattern. A pattern is reported when every group holds it, or when at
    least 90 % do and less than half as many break it as would with the same zeros strewn at
    random (at 90 % sparsity, 2:4 "nearly" holds by chance). A pattern that follows from a
    stricter one (4:8 from 2:4) is reported beside it.

    Blocks ("4x4" is rows x columns of the matrix) are reported only when they hold: each tile is
    wholly zero or without a zero, and at least one is zero; held counts the zero tiles.
    """

    def __init__(
        self, shape: tuple[int, ...], slice_bytes: int, *, outputs_first: bool, in_order: bool
    ) -> None:
        """For a shape of rank 2 or more, with values. in_order: it can only be read in order."""
        self.layout = Layout.of(shape, outputs_first)
        self.total = math.prod(shape)
        # Values at once: a slice of float32, or an eighth of the matrix, since most of those that
        # hold nothing give up after the first third.
        self.budget = max(min(slice_bytes // 4, max(self.total // 8, FEW)), ALIGN * ALIGN)
        self.slice_bytes = slice_bytes
        fits = max(slice_bytes, BAND_BYTES) if in_order else BAND_SLICES * slice_bytes
        self.wide = ALIGN * self.layout.columns > fits
        self.alive = [] if self.wide and in_order else checks(self.layout)
        self._lock = threading.Lock()

    def bands(self, start: int = 0) -> Bands:
        """Takes in flags from the `start`-th on, a multiple of `layout.unit`."""
        return Bands(self, start // self.layout.columns)

    def look(self, tile: Tile) -> None:
        """Take in a tile."""
        for check in tuple(self.alive):
            found = check.look(tile)
            with self._lock:
                if not check.take(found) and check in self.alive:
                    self.alive.remove(check)

    def in_strips(self, window: Window) -> None:
        """Look at all flags once more, from a payload read at any place."""
        layout = self.layout
        step = ALIGN if layout.run == layout.columns else math.lcm(ALIGN, layout.run)
        if ALIGN * step > BAND_BYTES:
            self.alive.clear()
        pieces = strips(window, layout, max(self.budget // ALIGN // step, 1) * step)
        while self.alive and (tile := next(pieces, None)) is not None:
            self.look(tile)

    def results(self, zeros: int) -> tuple[Pattern, ...]:
        """The patterns, once all tiles were looked at. zeros: how many values are zero.

        None for a tensor without zeros, and for one that is all zeros (it holds every pattern, and
        says nothing).
        """
        if not 0 < zeros < self.total:
            return ()
        density = 1 - zeros / self.total
        return tuple(pattern for check in self.alive for pattern in check.results(density))


class Bands:
    """Flags that come in order, put together to whole rows, a multiple of 16 at a time."""

    def __init__(self, search: Search, row: int) -> None:
        self.search, self.row, self.used = search, row, 0
        self.columns, self.rows = search.layout.columns, search.layout.rows
        height = max(search.budget // self.columns // ALIGN, 1) * ALIGN
        self.size = min(height, self.rows - row) * self.columns
        self.buffer = np.empty(0, bool)
        self.carried: dict[int, Array] = {}

    def slice_bytes(self, itemsize: int) -> int:
        """How many bytes of values to read at once: flags of whole bands need not be copied."""
        most = self.search.slice_bytes
        band = ALIGN * self.columns
        return min(self.search.budget, most // itemsize) // band * band * itemsize or most

    def add(self, flags: Array, filled: int) -> None:
        """Take in the flags of a slice, `filled` of which are True."""
        if not self.search.alive:
            return
        rows, rest = divmod(flags.size, self.columns)
        if not (self.used or rest) and (rows % ALIGN == 0 or self.row + rows == self.rows):
            self.look(flags, filled)
            return
        while flags.size:
            if not self.buffer.size:
                self.buffer = np.empty(self.size, bool)
            taken = flags[: self.size - self.used]
            self.buffer[self.used : self.used + taken.size] = taken
            self.used += taken.size
            flags = flags[taken.size :]
            if self.used == self.size:
                self.end()

    def end(self) -> None:
        """Look at what is left; where nothing is looked for any more, some of it is missing."""
        if self.used and self.search.alive:
            flags = self.buffer[: self.used]
            self.look(flags, int(np.count_nonzero(flags)))
        self.used = 0

    def look(self, flags: Array, filled: int) -> None:
        """Look at whole rows."""
        if flags.size == self.search.total and filled in (0, flags.size):
            return  # it has no zeros, or nothing else: no pattern says more
        tile = flags.reshape(-1, self.columns)
        self.search.look(Tile(tile, self.row, filled, self.carried))
        self.row += tile.shape[0]


def checks(layout: Layout) -> list[Check]:
    """A check for each pattern that the matrix is large enough for."""
    total = layout.rows * layout.columns
    directions: tuple[tuple[str, int, Counts], ...] = (
        (layout.down, layout.span, Down(layout.span, layout.rows // layout.span)),
        (layout.along, layout.run, Along(layout.run)),
    )
    found: list[Check] = []
    for axis, length, counts in sorted(directions, key=lambda entry: entry[0]):
        broken = {(n, m): 0 for m, ns in N_OF_M.items() if length >= m for n in ns}
        if broken:
            found.append(GroupCheck(axis, length, total // length, counts, broken))
    for height, width in BLOCKS:
        if layout.rows >= height and layout.columns >= width:
            blocks = -(-layout.rows // height) * -(-layout.columns // width)
            found.append(BlockCheck(height, width, blocks))
    return found


def near_miss(n: int, m: int, density: float) -> float:
    """Which share of the groups may break N:M, each value being non-zero with this probability."""
    by_chance = sum(
        math.comb(m, k) * density**k * (1 - density) ** (m - k) for k in range(n + 1, m + 1)
    )
    return min(NEAR_MISS, BETTER_THAN_CHANCE * by_chance)


def strips(window: Window, layout: Layout, width: int) -> Iterator[Tile]:
    """Pieces of 16 rows and `width` columns, strip by strip."""
    carried: dict[int, Array] = {}
    for column in range(0, layout.columns, width):
        size = min(width, layout.columns - column)
        for row in range(0, layout.rows, ALIGN):
            flags = np.empty((min(ALIGN, layout.rows - row), size), dtype=bool)
            for line in range(flags.shape[0]):
                flags[line] = window((row + line) * layout.columns + column, size)
            yield Tile(flags, row, int(np.count_nonzero(flags)), carried)

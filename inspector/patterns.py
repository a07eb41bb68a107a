"""Structured sparsity of one tensor, in one pass over its zeros: N:M along two axes, and blocks.

The tensor is a matrix of `rows` x `columns`: for a Keras kernel the last dimension (outputs) gives
the columns, all others (HWI of a convolution) the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np

from inspector.model import Pattern, Payload

Array = np.ndarray[Any, Any]
Window = Callable[[int, int], Array]  # (first value, number of values) -> 1-D array

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
# Slabs of rows are held as one byte a value. Payloads that can only be read in order are not
# looked at when ALIGN rows take more than this, bytes.
SLAB_BYTES = 32 << 20


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


class Check(Protocol):
    """Patterns being counted. `add` takes a tile of the matrix and says if it is worth going on.

    A tile is True where a value is not zero; it begins at `row`. Tiles of the same columns come
    from the top down.
    """

    def add(self, tile: Array, row: int) -> bool: ...

    def results(self) -> list[Pattern]: ...


@dataclass(slots=True)
class GroupCheck:
    """N:M for one M and some N: groups of `m` values, of which at most N are not zero.

    A group cut short by the end of its axis counts as a group (tfmot pads it with zeros).
    counts: (tile, row, m) -> non-zeros of each group. allowed: by N, how many groups may break it.
    """

    m: int
    axis: str
    groups: int
    counts: Callable[[Array, int, int], Array]
    allowed: dict[int, int]
    broken: dict[int, int]

    def add(self, tile: Array, row: int) -> bool:
        counts = self.counts(tile, row, self.m)
        for n in tuple(self.broken):
            self.broken[n] += int(np.count_nonzero(counts > n))
            if self.broken[n] > self.allowed[n]:
                del self.broken[n]
        return bool(self.broken)

    def results(self) -> list[Pattern]:
        return [
            Pattern(f"{n}:{self.m}", self.axis, self.groups - broken, self.groups, broken == 0)
            for n, broken in self.broken.items()
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

    def add(self, tile: Array, row: int) -> bool:  # noqa: ARG002 - tiles begin at multiples of ALIGN
        rows, columns = tile.shape
        padded = padded_to(tile, self.height, self.width)
        merged = np.bitwise_or.reduce(padded.reshape(-1, self.height, padded.shape[1]), axis=1)
        used = merged.view(f"u{self.width}") != 0
        filled = int(np.count_nonzero(used))
        self.filled += filled
        # Values in the blocks that are not wholly zero, less what padding added at the edges.
        below, right = padded.shape[0] - rows, padded.shape[1] - columns
        values = filled * self.height * self.width
        if below:
            values -= below * self.width * int(np.count_nonzero(used[-1]))
        if right:
            values -= right * self.height * int(np.count_nonzero(used[:, -1]))
        if below and right:
            values += below * right * int(used[-1, -1])
        return values == int(np.count_nonzero(tile))

    def results(self) -> list[Pattern]:
        held = self.groups - self.filled
        return [Pattern(f"{self.height}x{self.width}", "block", held, self.groups, held > 0)]


@dataclass(slots=True)
class Down:
    """Counts non-zeros of groups down the columns; keeps those of a group that a tile cuts."""

    span: int
    segments: int
    carried: dict[int, Array] = field(default_factory=dict)  # by m

    def __call__(self, tile: Array, row: int, m: int) -> Array:
        rows, columns = tile.shape
        if self.span % m == 0 or self.segments == 1:
            # Each tile begins with a group, and only the last one of all may end inside one.
            cut = padded_to(tile, m, 1).reshape(-1, m, columns)
            total = cut[:, 0] + cut[:, 1]
            for place in range(2, m):
                total += cut[:, place]
            return total
        begins = (np.arange(row, row + rows + 1) % self.span) % m == 0
        starts = np.flatnonzero(begins[:-1])
        if not begins[0]:
            starts = np.concatenate([[0], starts])
        counts: Array = np.add.reduceat(tile.view("u1"), starts, axis=0, dtype="u1")
        if not begins[0]:
            counts[0] += self.carried.pop(m)
        if not begins[-1]:
            self.carried[m] = counts[-1].copy()
            counts = counts[:-1]
        return counts


@dataclass(slots=True)
class Along:
    """Counts non-zeros of groups along the rows."""

    run: int

    def __call__(self, tile: Array, row: int, m: int) -> Array:  # noqa: ARG002 - never cut by a tile
        groups = padded_to(tile.reshape(-1, min(self.run, tile.shape[1])), 1, m).view(f"u{m}")
        # Bytes are 0 or 1: multiplying by 0x0101...01 adds all of them up in the highest byte.
        ones = groups.dtype.type(int.from_bytes(b"\x01" * m, "big"))
        counts: Array = groups * ones >> groups.dtype.type(8 * (m - 1))
        return counts


def padded_to(tile: Array, height: int, width: int) -> Array:
    """The tile as contiguous bytes of 0 and 1, with zeros up to a multiple of height and width."""
    below, right = -tile.shape[0] % height, -tile.shape[1] % width
    whole = np.pad(tile, ((0, below), (0, right))) if below or right else tile
    return np.ascontiguousarray(whole).view("u1")


def find_patterns(
    payload: Payload,
    shape: tuple[int, ...],
    zeros: int,
    nonzero: Callable[[Array], Array],
    slice_bytes: int,
    *,
    outputs_first: bool = False,
) -> tuple[Pattern, ...]:
    """The sparsity patterns that a tensor holds, or very nearly holds.

    zeros: how many of its values are zero. nonzero: turns a 1-D array of the payload's dtype into
    booleans. slice_bytes: how much to read at once. outputs_first: the layout, see `Layout.of`.

    N:M means at most N non-zeros in each group of M consecutive values. Along "input" the groups
    lie as tfmot lays them (consecutive input channels of one output), along "output" they are
    consecutive outputs of one input. Groups at the end of an axis may be short, and count; an axis
    shorter than M has no pattern. A pattern is reported when every group holds it, or when at
    least 90 % do and less than half as many break it as would with the same zeros strewn at
    random (at 90 % sparsity, 2:4 "nearly" holds by chance). A pattern that follows from a
    stricter one (4:8 from 2:4) is reported beside it.

    Blocks ("4x4" is rows x columns of the matrix) are reported only when they hold: each tile is
    wholly zero or without a zero, and at least one is zero; held counts the zero tiles.

    No pattern is reported for a tensor without zeros, for one that is all zeros (it holds every
    pattern, and says nothing), and for one of rank below 2. Memory stays at a few slices; where
    16 rows take more than 32 MiB as bytes and the payload can only be read in order, nothing is
    reported either. Raises ArtifactError when the bytes cannot be read.
    """
    total = math.prod(shape)
    if len(shape) < 2 or not 0 < zeros < total:
        return ()
    layout = Layout.of(shape, outputs_first)
    alive = checks(layout, zeros)
    pieces = tiles(payload, layout, nonzero, slice_bytes)
    if pieces is None:
        return ()
    while alive and (piece := next(pieces, None)) is not None:
        alive = [check for check in alive if check.add(*piece)]
    return tuple(pattern for check in alive for pattern in check.results())


def checks(layout: Layout, zeros: int) -> list[Check]:
    """A check for each pattern that the matrix is large enough for."""
    total = layout.rows * layout.columns
    density = 1 - zeros / total
    down = Down(layout.span, layout.rows // layout.span)
    directions: tuple[tuple[str, int, Callable[[Array, int, int], Array]], ...] = (
        (layout.down, layout.span, down),
        (layout.along, layout.run, Along(layout.run)),
    )
    found: list[Check] = []
    for axis, length, counts in sorted(directions, key=lambda entry: entry[0]):
        for m, ns in N_OF_M.items():
            if length >= m:
                groups = total // length * -(-length // m)
                allowed = {n: int(groups * near_miss(n, m, density)) for n in ns}
                found.append(GroupCheck(m, axis, groups, counts, allowed, dict.fromkeys(ns, 0)))
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


def tiles(
    payload: Payload, layout: Layout, nonzero: Callable[[Array], Array], slice_bytes: int
) -> Iterator[tuple[Array, int]] | None:
    """The matrix in pieces (True = not zero, first row), each valid until the next is asked for.

    None where that would take too much memory.
    """
    window: Window | None = getattr(payload, "window", None)
    # Values at once: a slice of float32, or an eighth of the matrix, since most of those that hold
    # nothing give up after the first third.
    total = layout.rows * layout.columns
    budget = max(min(slice_bytes // 4, total // 8), ALIGN * ALIGN)
    fits = max(slice_bytes, SLAB_BYTES if window is None else 0)
    if ALIGN * layout.columns <= fits:
        return slabs(payload.blocks(min(slice_bytes, 4 * budget)), layout, nonzero, budget)
    step = ALIGN if layout.run == layout.columns else math.lcm(ALIGN, layout.run)
    if window is None or ALIGN * step > SLAB_BYTES:
        return None
    return strips(window, layout, nonzero, max(budget // ALIGN // step, 1) * step)


def slabs(
    blocks: Iterator[Array], layout: Layout, nonzero: Callable[[Array], Array], budget: int
) -> Iterator[tuple[Array, int]]:
    """Whole rows, a multiple of 16 at a time, from a payload read in order."""
    height = max(budget // layout.columns // ALIGN, 1) * ALIGN
    buffer = np.empty(min(height, layout.rows) * layout.columns, dtype=bool)
    used = row = 0
    for block in blocks:
        flags = nonzero(block)
        while flags.size:
            taken = flags[: buffer.size - used]
            buffer[used : used + taken.size] = taken
            used += taken.size
            flags = flags[taken.size :]
            if used == buffer.size:
                yield buffer.reshape(-1, layout.columns), row
                row, used = row + buffer.size // layout.columns, 0
    if used:
        yield buffer[:used].reshape(-1, layout.columns), row


def strips(
    window: Window, layout: Layout, nonzero: Callable[[Array], Array], width: int
) -> Iterator[tuple[Array, int]]:
    """Pieces of 16 rows and `width` columns, strip by strip, from a payload read at any place."""
    for column in range(0, layout.columns, width):
        size = min(width, layout.columns - column)
        for row in range(0, layout.rows, ALIGN):
            tile = np.empty((min(ALIGN, layout.rows - row), size), dtype=bool)
            for line in range(tile.shape[0]):
                tile[line] = nonzero(window((row + line) * layout.columns + column, size))
            yield tile, row

"""Where a matrix's zeros are: a cell is the darker the larger the share of zeros in it."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from inspector.render.drawing.shapes import CARD, SIZE, Box, Drawing, Key, Patch, Text, place
from inspector.report import HeatReport
from inspector.words import number

LEVELS = 8  # the first is no zero at all, the last nothing but zeros
_LEFT, _TOP = SIZE + 8, SIZE + 8  # room for the words along the sides
_LEAST, _LARGEST = 60, 260  # height of the cells


def level(share: float) -> int | None:
    """0 of no zeros, 7 of nothing else, 1 to 6 between; None of what is no share."""
    if not isfinite(share):
        return None
    if share <= 0 or share >= 1:
        return 0 if share <= 0 else LEVELS - 1
    return 1 + int(share * (LEVELS - 2))


_KEYS = tuple(
    Key(f"heat-{level(share)}", words)
    for share, words in ((0, "no zeros"), (0.5, "half"), (1, "all zeros"))
)


def heat(found: HeatReport, width: float = CARD) -> Drawing:
    """A path a level; the outer edges are those of the matrix, so the last cells may be smaller."""
    if not found.rows or not found.columns or not found.cells:
        return Drawing(width, 0)
    side = width - _LEFT
    height = min(max(side * found.rows / found.columns, _LEAST), _LARGEST)
    x_unit, y_unit = side / found.columns, height / found.rows
    parts: list[list[str]] = [[] for _ in range(LEVELS)]
    for row, cells in enumerate(found.cells):
        top = row * found.cell_rows
        bottom = min(top + found.cell_rows, found.rows)
        for at, first, last in _runs(cells):
            left = first * found.cell_columns
            right = min(last * found.cell_columns, found.columns)
            parts[at].append(
                _cell(_LEFT + left * x_unit, _TOP + top * y_unit,
                      _LEFT + right * x_unit, _TOP + bottom * y_unit)
            )  # fmt: skip
    patches = tuple(Patch("".join(one), f"heat-{at}") for at, one in enumerate(parts) if one)
    across = f"{number(found.columns)} {found.column_words} →"
    down = f"{number(found.rows)} {found.row_words} ↓"
    texts = (Text(_LEFT, SIZE - 1, across), Text(_LEFT, place(_TOP + height + SIZE + 4), down))
    frame = Box(_LEFT, _TOP, place(side), place(height), "frame")
    each = f"A cell is {number(found.cell_rows)} × {number(found.cell_columns)} values."
    return Drawing(
        width, place(_TOP + height + SIZE + 10), (frame,), texts, (), patches, (each,), _KEYS
    )


def _runs(cells: tuple[float, ...]) -> Iterator[tuple[int, int, int]]:
    """Cells of one level side by side: the level, the first, and the one behind the last."""
    levels = [level(one) for one in cells]
    first = 0
    for at in range(1, len(levels) + 1):
        if at == len(levels) or levels[at] != levels[first]:
            found = levels[first]
            if found is not None:
                yield found, first, at
            first = at


def _cell(left: float, top: float, right: float, bottom: float) -> str:
    x, y = place(left), place(top)
    return f"M{x} {y}H{place(right)}V{place(bottom)}H{x}z"

"""Rows of horizontal bars: a name, a bar of segments, a number; all on one scale.

On a wide picture they stand side by side, on a narrow one the bar goes beneath its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspector.render.drawing.labels import fitted, whole, wide
from inspector.render.drawing.scale import Scale
from inspector.render.drawing.shapes import SIZE, WIDE, Box, Drawing, Line, Text, amount, box, place

_BAR, _GAP, _CLOSE = 16, 10, 4  # a bar's height, and what stands between two
_SIDE = 12  # between the columns
_LINE = 2  # width of the least bar
_NAMES = 0.4  # of the width, at most, for names
_DOWN = SIZE - 1  # from the top of a bar to the baseline of a text beside it


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar from `start` to `end`, in values; either may be the larger."""

    start: float
    end: float
    css: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One bar. number: said at its end. close: it belongs to the row above. css: of its texts."""

    name: str
    segments: tuple[Segment, ...]
    number: str
    close: bool = False
    css: str = ""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where a row's parts stand. bars: from where to where they go; head: what stands above one;
    stacked: its number has a line of its own, beneath the name.
    """

    width: float
    bars: tuple[float, float]
    head: float
    stacked: bool

    def texts(self, row: Row, y: float) -> Iterator[Text]:
        """The name and the number of a row that begins at y."""
        room = self.bars[0] - SIZE if not self.head else self.width
        if self.head and not self.stacked:
            room -= wide(row.number) + _SIDE
        base = place(y + _DOWN)
        below = place(base + SIZE + 3) if self.stacked else base
        yield Text(0, base, fitted(row.name, room), f"row-name {row.css}".strip())
        yield Text(self.width, below, row.number, f"row-number {row.css}".strip(), "end")


def rows_drawing(rows: Sequence[Row], width: float = WIDE, connected: bool = False) -> Drawing:
    """All rows, and a line at zero where bars go to both sides of it.

    connected: a line leads from where one row's last segment ends to the next row's bar.
    """
    if not rows:
        return Drawing(width, 0)
    ends = [at for row in rows for one in row.segments for at in (one.start, one.end)]
    low, high = -amount(-min(ends, default=0)), amount(max(ends, default=0))
    columns = _columns(rows, width)
    scale = Scale(low, high, *columns.bars)
    boxes: list[Box] = []
    texts: list[Text] = []
    lines: list[Line] = []
    y = 0.0
    for at, row in enumerate(rows):
        y += 0 if not at else _CLOSE if row.close else _GAP
        texts += columns.texts(row, y)
        top = y + columns.head
        boxes += [found for one in row.segments if (found := _segment(one, scale, top)).width]
        y = top + _BAR
        if connected and at + 1 < len(rows):
            x = place(scale(row.segments[-1].end))
            lines.append(Line(x, place(y), x, place(y + _GAP + columns.head), "connector"))
    if low < 0:
        x = place(scale(0))
        lines.append(Line(x, 0, x, place(y), "axis"))
    kept = tuple(text for text in texts if text.text)
    return Drawing(width, place(y + 1), tuple(boxes), kept, tuple(lines))


def _columns(rows: Sequence[Row], width: float) -> _Columns:
    numbers = max(wide(row.number) for row in rows)
    if width > WIDE / 2:
        longest = max(wide(whole(row.name)) for row in rows)
        names = min(longest + SIZE, width * _NAMES)
        return _Columns(width, (names, width - numbers - _SIDE), 0, stacked=False)
    stacked = numbers > width * (1 - _NAMES)
    return _Columns(width, (0, width), (SIZE + 5) + (SIZE + 3) * stacked, stacked)


def _segment(one: Segment, scale: Scale, y: float) -> Box:
    """At least a line where there is anything at all: a single element must not look like none."""
    left, right = sorted((scale(one.start), scale(one.end)))
    if one.start != one.end and right - left < _LINE:
        left = min(left, scale.end - _LINE)
        right = left + _LINE
    return box(left, y, right, y + _BAR, one.css, one.title)

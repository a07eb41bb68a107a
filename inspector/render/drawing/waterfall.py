"""Steps from one count to another: each line of the arithmetic begins where the last one ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inspector.render.drawing.labels import whole
from inspector.render.drawing.roles import css_of
from inspector.render.drawing.rows import Row, Segment, rows_drawing
from inspector.render.drawing.shapes import WIDE, Drawing
from inspector.words import number

# A label, so many elements to add (or take off), and the role that they are of.
Step = tuple[str, int, str | None]


def waterfall(
    steps: Sequence[Step],
    total: str,
    width: float = WIDE,
    begin: tuple[str, int] | None = None,
    sums: Mapping[int, str] | None = None,
) -> Drawing:
    """A row a step and one for what they add up to, named `total`.

    begin: a total to start from, its name and elements; without it the first step starts at zero,
    and has no sign. sums: names of what so many steps add up to, each a row behind them.
    """
    if not steps and begin is None:
        return Drawing(width, 0)
    at = 0
    rows: list[Row] = []
    if begin is not None:
        rows.append(_sum(*begin))
        at = begin[1]
    for done, (label, elements, role) in enumerate(steps, 1):
        said = signed(elements) if rows else number(elements)
        title = f"{whole(label)}: {said}, which makes {number(at + elements)}"
        segment = Segment(at, at + elements, css_of(role), title)
        rows.append(Row(label, (segment,), said))
        at += elements
        if sums and done in sums and done < len(steps):
            rows.append(_sum(sums[done], at))
    return rows_drawing([*rows, _sum(total, at)], width, connected=True)


def _sum(name: str, elements: int) -> Row:
    segment = Segment(0, elements, "total", f"{whole(name)}: {number(elements)}")
    return Row(name, (segment,), number(elements), css="row-total")


def signed(value: int) -> str:
    """1280 -> "+1,280"; -1280 -> "−1,280", with the sign that is as wide as a plus."""
    return f"{'−' if value < 0 else '+'}{abs(value):,}"

"""A histogram in text: columns of eighth blocks, the threshold marked under them."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.browse.lines import Line, Lines
from inspector.render.printable import value
from inspector.report import Bar
from inspector.words import number

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_WIDEST = 5  # columns of one bar
_TOWERS = 3  # a bar so many times as high as the next one would leave nothing to see of the others
_MARK = "▲"


def chart(
    bars: Sequence[Bar], width: int, height: int = 7, threshold: float | None = None
) -> Lines:
    """The bars side by side, at most `width` columns, `height` lines high, and their axis below.

    Where one bar towers above all others it is cut, and its count stands over it with an arrow.
    threshold: a magnitude, marked at both signs where it lies within the bars. Anything that is
    there shows at least a sliver.
    """
    if not bars or width < len(bars):
        return []
    each = min(width // len(bars), _WIDEST)
    most, scale = _scale([bar.elements for bar in bars])
    levels = [_level(bar.elements, scale, height) for bar in bars]
    lines = [_count_over(bars, most, scale, each)]
    for row in range(height - 1, -1, -1):
        cells = "".join(_EIGHTHS[min(max(level - 8 * row, 0), 8)] * each for level in levels)
        lines.append(((cells, "bar"),))
    return [*lines, *_axis(bars, each * len(bars), threshold)]


def _scale(counts: Sequence[int]) -> tuple[int, int]:
    """The largest count, and the one that is drawn full height."""
    ranked = sorted(counts, reverse=True)
    most = ranked[0]
    next_most = ranked[1] if len(ranked) > 1 else 0
    towers = next_most and most > _TOWERS * next_most
    return most, max(next_most * 3 // 2, 1) if towers else max(most, 1)


def _level(count: int, scale: int, height: int) -> int:
    """Eighths of a line: 0 for none, and never 0 for some."""
    scaled = min(count, scale) * height * 8 // scale
    return max(scaled, 1) if count else 0


def _count_over(bars: Sequence[Bar], most: int, scale: int, each: int) -> Line:
    """The largest count, over its bar."""
    at = next(place for place, bar in enumerate(bars) if bar.elements == most)
    text = f"{number(most)}{'↑' if most > scale else ''}"
    whole = each * len(bars)
    left = min(max(at * each + each // 2 - len(text) // 2, 0), max(whole - len(text), 0))
    return ((f"{' ' * left}{text}", "title"),)


def _axis(bars: Sequence[Bar], whole: int, threshold: float | None) -> Lines:
    """The ends of the axis, and what is marked on it."""
    low, high = bars[0].low, bars[-1].high
    ends = value(low), value(high)
    gap = max(whole - len(ends[0]) - len(ends[1]), 1)
    middle = _zero(low, high, whole, ends)
    between = f"{'':{gap}}" if middle is None else middle
    lines: Lines = []
    if threshold is not None and high > low:
        places = {
            _place(one, low, high, whole)
            for one in (-threshold, threshold)
            if low <= one <= high and one
        }
        if places:
            marks = "".join(_MARK if at in places else " " for at in range(whole)).rstrip()
            lines.append(((marks, "mark"),))
    lines.append(((f"{ends[0]}{between}{ends[1]}", "dim"),))
    if lines[1:]:
        sign = "±" if low < 0 < high else ""
        lines.append(((f"{_MARK} ", "mark"), (f"threshold {sign}{value(threshold)}", "")))
    return lines


def _zero(low: float, high: float, whole: int, ends: tuple[str, str]) -> str | None:
    """What stands between the ends, with a 0 in its place; None where it has none, or no room."""
    if not low < 0 < high:
        return None
    at = _place(0, low, high, whole) - len(ends[0])
    gap = whole - len(ends[0]) - len(ends[1])
    return f"{' ' * at}0{' ' * (gap - at - 1)}" if 1 <= at < gap - 1 else None


def _place(one: float, low: float, high: float, whole: int) -> int:
    """The column of a value."""
    return min(int((one - low) / (high - low) * whole), whole - 1)


def strip(part: int, most: int, width: int) -> str:
    """A bar that lies: `part` of `most` in at most `width` columns of eighths."""
    eighths = part * width * 8 // most if most else 0
    if part and not eighths:
        eighths = 1
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()

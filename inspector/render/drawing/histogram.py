"""How values spread: bars, the zeros as a bar of their own, and where pruning cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from inspector.render.drawing.labels import wide
from inspector.render.drawing.scale import Scale, height, height_of, ticks
from inspector.render.drawing.shapes import (
    CARD,
    SIZE,
    Box,
    Drawing,
    Key,
    Line,
    Text,
    amount,
    box,
    place,
)
from inspector.render.printable import value
from inspector.report import Bar, DiffPicture, HistogramReport
from inspector.words import number, percent

_TALL = 150  # of the highest bar
_HEAD = 2 * SIZE + 8  # room above for numbers
_FOOT = SIZE + 10  # below, for ticks
_SPIKE = 6  # width of the zeros' bar
_FAR = 2  # times the bars' span: a threshold beyond is told and not drawn


@dataclass(frozen=True, slots=True)
class _Field:
    """Where bars stand: from a base line up, or, of a mirrored half, down (`tall` < 0)."""

    x: Scale
    base: float
    tall: float
    most: float
    root: bool

    def top(self, elements: float) -> float:
        """Where a bar of so many elements ends; of any at all it is at least a line."""
        if not amount(elements):
            return self.base
        share = height(elements, self.root) / height(self.most, self.root)
        return self.base - self.tall * max(min(share, 1), 1 / abs(self.tall))


def histogram(found: HistogramReport, width: float = CARD) -> Drawing:
    """Bars of the values that are not zero, a bar for zeros at 0, dashed lines at ±threshold.

    Heights are linear, or square roots where zeros would flatten the rest; a note says which.
    """
    bars = _sound(found.bars)
    spike = amount(found.zeros)
    if not bars and not spike:
        return Drawing(width, 0, notes=_notes(found))
    cut = amount(found.threshold)
    low, high = _span(bars, spike > 0, cut)
    x = Scale(low, high, _SPIKE, width - _SPIKE)
    tallest = max((one.elements for one in bars), default=0)
    root, words = height_of(tallest, spike)
    base = _HEAD + _TALL
    field = _Field(x, base, _TALL, max(tallest, spike), root)
    boxes = [*_bars(bars, field, "kept"), *_zeros(int(spike), field)]
    zeros = f"{number(found.zeros)} zeros, {percent(found.zeros, found.elements)}"
    texts = [*_axis(x, base, width)]
    lines = [Line(0, base, width, base, "axis")]
    notes = [words, *_notes(found)]
    if spike:
        texts.append(_within(x(0), SIZE, zeros, width, "zero-number"))
    if cut and low <= -cut and cut <= high:
        lines += [_dashed(x(at), _HEAD, base) for at in (-cut, cut)]
        texts.append(_within(x(cut), 2 * SIZE + 4, f"±{value(cut)}", width, "cut-number"))
    elif cut:
        notes.append(f"The threshold, ±{value(cut)}, lies outside.")
    keys = [Key("kept", "not zero"), Key("zero", "zero")]
    keys += [Key("cut", "threshold")] if cut else []
    height_ = base + _FOOT
    return Drawing(
        width, height_, tuple(boxes), tuple(texts), tuple(lines), (), tuple(notes), tuple(keys)
    )


def paired(found: DiffPicture, width: float = CARD) -> Drawing:
    """A's values upward and B's downward, on the same scales; zeros as in `histogram`."""
    bars_a, bars_b = _sound(found.bars_a), _sound(found.bars_b)
    spike = max(amount(found.zeros_a), amount(found.zeros_b))
    if not bars_a and not bars_b and not spike:
        return Drawing(width, 0)
    low, high = _span([*bars_a, *bars_b], spike > 0, 0)
    x = Scale(low, high, _SPIKE, width - _SPIKE)
    tallest = max((one.elements for one in (*bars_a, *bars_b)), default=0)
    root, words = height_of(tallest, spike)
    tall, gap = _TALL * 0.7, _FOOT
    upper = SIZE + 8 + tall
    lower = upper + gap
    a = _Field(x, upper, tall, max(tallest, spike), root)
    b = replace(a, base=lower, tall=-tall)
    end = lower + tall + SIZE + 6
    boxes = [
        *_bars(bars_a, a, "side-a"), *_zeros(int(amount(found.zeros_a)), a, "A: "),
        *_bars(bars_b, b, "side-b"), *_zeros(int(amount(found.zeros_b)), b, "B: "),
    ]  # fmt: skip
    zeros = (
        (SIZE, f"A: {number(found.zeros_a)} zeros"),
        (end - 3, f"B: {number(found.zeros_b)} zeros"),
    )
    texts = [
        *_axis(x, upper, width),
        *(_within(x(0), y, words, width, "zero-number") for y, words in zeros if spike),
    ]
    lines = [Line(0, place(at), width, place(at), "axis") for at in (upper, lower)]
    keys = [Key("side-a", "A, upward"), Key("side-b", "B, downward")]
    keys += [Key("zero", "zero")] if spike else []
    return Drawing(
        width, place(end), tuple(boxes), tuple(texts), tuple(lines), (), (words,), tuple(keys)
    )


def _sound(bars: Sequence[Bar]) -> list[Bar]:
    """The bars that can be drawn: with finite edges, and values in them."""
    return [
        one for one in bars if amount(one.elements) and isfinite(one.low) and isfinite(one.high)
    ]


def _span(bars: Sequence[Bar], zeros: bool, cut: float) -> tuple[float, float]:
    """The axis: all bars, 0 where there are zeros, the threshold where it is near."""
    ends = [at for one in bars for at in (one.low, one.high)] or [0.0]
    low, high = min(ends), max(ends)
    if zeros:
        low, high = min(low, 0.0), max(high, 0.0)
    if 0 < cut <= _FAR * (high - low):
        low, high = min(low, -cut), max(high, cut)
    if low == high:
        low, high = low - (abs(low) or 1), high + (abs(high) or 1)
    return low, high


def _bars(bars: Sequence[Bar], field: _Field, css: str) -> Iterator[Box]:
    for one in bars:
        left, right = field.x(one.low), field.x(one.high)
        if right - left < 1:
            left, right = left - 0.5, left + 0.5
        title = f"{value(one.low)} to {value(one.high)}: {number(one.elements)}"
        top, bottom = sorted((field.top(one.elements), field.base))
        yield box(left, top, right, bottom, css, title)


def _zeros(zeros: int, field: _Field, side: str = "") -> Iterator[Box]:
    if zeros:
        top, bottom = sorted((field.top(zeros), field.base))
        at = field.x(0)
        css = "zero spike"
        yield box(at - _SPIKE / 2, top, at + _SPIKE / 2, bottom, css, f"{side}0: {number(zeros)}")


def _axis(x: Scale, base: float, width: float) -> Iterator[Text]:
    for at in ticks(x.low, x.high):
        yield _within(x(at), base + SIZE + 4, value(at), width, "tick")


def _within(x: float, y: float, text: str, width: float, css: str) -> Text:
    """A text in the middle over x, moved where it would stand out of the picture."""
    half = wide(text) / 2
    return Text(place(min(max(x, half), width - half)), place(y), text, css, "middle")


def _dashed(x: float, top: float, bottom: float) -> Line:
    return Line(place(x), place(top), place(x), place(bottom), "cut")


def _notes(found: HistogramReport) -> tuple[str, ...]:
    return (
        (f"{number(found.not_finite)} NaN or infinite values have no bar.",)
        if found.not_finite
        else ()
    )

"""Axes: from values to places, and the round numbers that stand along them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, log10, sqrt

_STEPS = (1, 2, 5, 10)
_NOISE = 1e-9  # of a step: 0.3 / 0.1 is a little less than 3
_SPIKE = 4  # times as tall as the next: from there on heights are square roots


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from low to high onto places from start to end; a value beyond stands at the end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where the value stands; of no span, and of NaN, that is the start."""
        # Twice the largest float is none: of such a span a quarter of everything is taken.
        part = 1.0 if isfinite(self.high - self.low) else 0.25
        span = self.high * part - self.low * part
        share = (value * part - self.low * part) / span if span > 0 and isfinite(span) else 0.0
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)


def ticks(low: float, high: float, most: int = 5) -> tuple[float, ...]:
    """At most `most` multiples of 1, 2 or 5 times a power of ten in [low, high].

    None where there is no span, or it is past what a float can have.
    """
    span = high - low
    if most < 1 or not isfinite(span) or span <= 0:
        return ()
    power = 10.0 ** floor(log10(span / most)) if span / most > 0 else 0.0
    if not power or not isfinite(power):
        return ()
    for times in _STEPS:
        step = power * times
        first, last = ceil(low / step - _NOISE), floor(high / step + _NOISE)
        if last - first < most:
            return tuple(_clean(at * step) for at in range(first, last + 1))
    return ()


def _clean(value: float) -> float:
    """3 * 0.1 is 0.30000000000000004: what is shown of a tick is its first twelve digits."""
    return float(f"{value:.12g}")


def height_of(tallest: float, spike: float) -> tuple[bool, str]:
    """Whether heights are square roots, and the words that say so.

    tallest: of the bars that are not the spike, in elements. Beside a spike of zeros a linear
    scale would flatten all else.
    """
    root = spike > _SPIKE * tallest > 0
    return (
        root,
        "Bar heights are square roots of the counts." if root else "Bar heights are linear.",
    )


def height(value: float, root: bool) -> float:
    """What a count is drawn as."""
    return sqrt(value) if root else value

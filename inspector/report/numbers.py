"""Numbers that several parts of a report have."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Extreme = int | float | Literal["Infinity", "-Infinity"] | None  # JSON has no infinity


class Bar(Struct, frozen=True):
    """One bar of a histogram: `elements` values in [low, high), the last bar's high included."""

    low: float
    high: float
    elements: int

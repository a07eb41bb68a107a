"""What a picture is made of. Lengths are units of the view box; y runs down, as in SVG."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

WIDE, NARROW, CARD = 1040, 360, 400  # widths of a view box: a desk, a telephone, one of a grid
SIZE = 13  # of all text, in the same units


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle. css: its classes; title: what it is in full, shown beneath a pointer."""

    x: float
    y: float
    width: float
    height: float
    css: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text, its baseline at y. anchor: which end of it is at x, as SVG has it."""

    x: float
    y: float
    text: str
    css: str = ""
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    css: str


@dataclass(frozen=True, slots=True)
class Patch:
    """Many boxes of one class as a single path: `d` as SVG has it."""

    d: str
    css: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A line of the legend: what a class stands for."""

    css: str
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture, in the order in which it is painted: patches, boxes, lines, texts.

    notes: what must be known to read it, in sentences; keys: its legend.
    """

    width: float
    height: float
    boxes: tuple[Box, ...] = ()
    texts: tuple[Text, ...] = ()
    lines: tuple[Line, ...] = ()
    patches: tuple[Patch, ...] = ()
    notes: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()


def place(value: float) -> float:
    """A coordinate in hundredths, as an int where it is whole: both keep a page small."""
    near = round(value, 2)
    return int(near) if near == int(near) else near


def box(left: float, top: float, right: float, bottom: float, css: str, title: str = "") -> Box:
    """A box by its edges: each is rounded alone, so that neighbours share theirs."""
    x, y = place(left), place(top)
    return Box(x, y, place(place(right) - x), place(place(bottom) - y), css, title)


def amount(value: float | None) -> float:
    """What may be drawn as a length: nothing where it is unknown, negative or no finite number."""
    return value if value is not None and isfinite(value) and value > 0 else 0

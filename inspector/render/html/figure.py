"""A picture with its words and its table, and the section of the page that it stands in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inspector.render.drawing.shapes import NARROW, WIDE, Drawing
from inspector.render.rows import Table
from inspector.words import count

ROWS = 1_000  # of a table behind a picture


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture. title: its head; words: what it shows, for all who read it and for those who
    cannot see it; narrow: the same for a telephone, null where one fits both.
    """

    title: str
    words: str
    drawing: Drawing
    narrow: Drawing | None
    table: Table


@dataclass(frozen=True, slots=True)
class Part:
    """A section of the page. id: of its heading, within the artifact; lead: a sentence above the
    figures, "" for none; many: they are small and stand side by side.
    """

    id: str
    title: str
    lead: str
    figures: tuple[Figure, ...]
    many: bool = False


def pair(
    draw: Callable[[float], Drawing], title: str, words: str, table: Table
) -> tuple[Figure, ...]:
    """A figure in both widths, unless there is nothing to draw."""
    wide, narrow = draw(WIDE), draw(NARROW)
    return (Figure(title, words, wide, narrow, table),) if wide.height else ()


def left(rows: int, what: str) -> str:
    """What says that a table has not all rows, "" where it has."""
    more = rows - ROWS
    return f"... and {count(more, f'more {what}')} (all in --format json)." if more > 0 else ""

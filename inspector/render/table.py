"""Rows of cells that fit a width: names are shortened first, the least useful columns go last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import tabulate

from inspector.render.printable import ELLIPSIS, FILLER, shorten, widened

GAP = 2
_LONG = 200  # rows


@dataclass(frozen=True, slots=True)
class Column:
    """head: its title. keep: rank by which columns stay when there is no room, the highest
    longest. words: holds words, to the left, not numbers. least: holds names, which may be
    shortened to this many characters before a column has to go; 0 where nothing may be shortened.
    said: what it holds are sentences, of which the beginning stays, a quarter of the width of it.
    """

    head: str
    keep: int = 50
    words: bool = False
    least: int = 0
    said: bool = False


def layout(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int
) -> tuple[list[str], list[str]]:
    """The table as lines (head, rule, rows), none longer than `width`, and the heads left out."""
    rows = [[widened(cell) for cell in row] for row in rows]
    columns = [
        replace(one, least=max(one.least, width // 4)) if one.said else one for one in columns
    ]
    kept = list(range(len(columns)))
    widths = [
        max([len(column.head), *(len(row[at]) for row in rows)])
        for at, column in enumerate(columns)
    ]
    # A name may be as long as a file wishes.
    widths = [
        min(natural, width) if column.least else natural
        for natural, column in zip(widths, columns, strict=True)
    ]
    while _least(columns, widths, kept) > width and len(kept) > 1:
        kept.remove(min(kept, key=lambda at: (columns[at].keep, at)))
    _squeeze(columns, widths, kept, width)
    fitted = [
        [columns[at].head, *_fit(columns[at], [row[at] for row in rows], widths[at])] for at in kept
    ]
    cells = list(zip(*fitted, strict=True))
    lines = _lines(cells, [columns[at].words for at in kept])
    rule = (" " * GAP).join("-" * widths[at] for at in kept)
    dropped = [column.head for at, column in enumerate(columns) if at not in kept]
    head, *body = (line[:width].rstrip().replace(FILLER, "") for line in lines)
    return [head, rule[:width], *body], dropped


def _lines(rows: Sequence[tuple[str, ...]], words: Sequence[bool]) -> list[str]:
    """The rows with their cells one below another. words: of each column, see Column."""
    if len(rows) > _LONG:
        return _long(rows, words)
    # Wide characters are filled up already (`widened`): where wcwidth is installed, tabulate would
    # count them once more. The flag is the one that it documents.
    before, tabulate.WIDE_CHARS_MODE = tabulate.WIDE_CHARS_MODE, False
    try:
        # The head is a row like the others: tabulate would pad it by two columns more.
        return tabulate.tabulate(
            rows,
            tablefmt="plain",
            disable_numparse=True,
            colalign=["left" if left else "right" for left in words],
        ).split("\n")
    finally:
        tabulate.WIDE_CHARS_MODE = before


def _long(rows: Sequence[tuple[str, ...]], words: Sequence[bool]) -> list[str]:
    """What tabulate makes of them, in a fortieth of the time: it looks at each cell for numbers,
    colours and line breaks, which these have not.
    """
    padded: list[list[str]] = []
    for cells, left in zip(zip(*rows, strict=True), words, strict=True):
        bare = [cell.strip() for cell in cells]
        width = max(map(len, bare))
        padded.append([one.ljust(width) if left else one.rjust(width) for one in bare])
    return [(" " * GAP).join(row) for row in zip(*padded, strict=True)]


def _least(columns: Sequence[Column], widths: Sequence[int], kept: Sequence[int]) -> int:
    """The width below which the names of these columns cannot be shortened."""
    return GAP * (len(kept) - 1) + sum(
        min(widths[at], max(columns[at].least, len(columns[at].head)))
        if columns[at].least
        else widths[at]
        for at in kept
    )


def _squeeze(columns: Sequence[Column], widths: list[int], kept: Sequence[int], width: int) -> None:
    """Take the room that is missing from the widest names, in place."""
    names = [at for at in kept if columns[at].least]
    over = GAP * (len(kept) - 1) + sum(widths[at] for at in kept) - width
    while over > 0 and names:
        widest = max(names, key=lambda at: widths[at])
        if widths[widest] <= len(columns[widest].head) or widths[widest] <= 1:
            return
        widths[widest] -= 1
        over -= 1


def _fit(column: Column, cells: Sequence[str], width: int) -> list[str]:
    """A column's cells in this width, cut where most of them stay apart: names of a nested model
    begin alike, and only their ends tell them from each other.
    """
    if not column.least:
        return list(cells)
    if column.said:
        return [_cut(cell, shorten(cell, width, head=width - 1)) for cell in cells]
    middle = [_cut(cell, shorten(cell, width)) for cell in cells]
    ends = [_cut(cell, shorten(cell, width, head=0)) for cell in cells]
    return ends if len(set(ends)) > len(set(middle)) else middle


def _cut(cell: str, short: str) -> str:
    """`short`, with the halves that a cut made of wide characters left out."""
    if short == cell or FILLER not in cell:
        return short
    head, _, tail = short.partition(ELLIPSIS)
    if widened(head[-1:]) != head[-1:]:
        head = head[:-1] + ELLIPSIS
    if tail.startswith(FILLER):
        tail = ELLIPSIS + tail[1:]
    return f"{head}{ELLIPSIS}{tail}"

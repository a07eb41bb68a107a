"""Pictures of what values are like, where zeros lie, and what operators cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from inspector.render.drawing.heat import heat
from inspector.render.drawing.histogram import histogram
from inspector.render.drawing.operators import operator_bars
from inspector.render.html.figure import ROWS, Figure, Part, pair
from inspector.render.printable import optional, shorten, value
from inspector.render.rows import Table
from inspector.render.table import Column
from inspector.report import ArtifactReport, HeatReport, HistogramReport, PicturesReport
from inspector.words import count, keyless, number, percent

_NAME = 90  # characters above a small picture


def histograms(_artifact: ArtifactReport, pictures: PicturesReport) -> Part:
    """How the values of the largest weights spread."""
    found = pictures.histograms
    lead = "How many values of a weight are about so large; zeros are one bar of their own."
    if any(one.threshold is not None for one in found):
        lead += (
            " Dashed lines are the pruning threshold: what was smaller in magnitude, its mask set"
            " to zero."
        )
    return Part(
        "values",
        "How values spread",
        f"{lead} {_of(len(found), pictures.histograms_of, 'weights')}".strip(),
        tuple(map(_histogram, found, _titles(found))),
        many=True,
    )


def _of(shown: int, whole: int, what: str, which: str = "largest") -> str:
    if shown >= whole:
        return ""
    return f"These are the {number(shown)} {which} of {number(whole)} {what}."


def _titles(found: Sequence[HistogramReport | HeatReport]) -> list[str]:
    """Layer and variable of each; the tensor's own name where that says less, or not which."""
    called = [
        "/".join(filter(None, (one.layer, one.variable))) if one.variable else one.tensor
        for one in found
    ]
    times = Counter(called)
    return [
        shorten(keyless(one.tensor if times[name] > 1 else name), _NAME)
        for one, name in zip(found, called, strict=True)
    ]


def _histogram(one: HistogramReport, title: str) -> Figure:
    share = percent(one.zeros, one.elements)
    said = [
        count(one.elements, "value"),
        *([f"{count(one.zeros, 'zero')} ({share})"] if one.zeros else []),
        *([f"{number(one.not_finite)} NaN or infinite"] if one.not_finite else []),
        *([f"mask removes {number(one.masked)}"] if one.masked is not None else []),
        *([f"threshold {value(one.threshold)}"] if one.threshold is not None else []),
    ]
    rows = [(value(bar.low), value(bar.high), number(bar.elements)) for bar in one.bars]
    rows += [("0", "0", number(one.zeros))] if one.zeros else []
    table = Table((Column("from"), Column("to"), Column("values")), tuple(rows))
    return Figure(title, " · ".join(said), histogram(one), None, table)


def heats(_artifact: ArtifactReport, pictures: PicturesReport) -> Part:
    """Where the zeros of the largest matrices are."""
    found = pictures.heats
    return Part(
        "places",
        "Where the zeros are",
        " ".join(
            filter(
                None,
                (
                    "A weight as a matrix: the more of a cell’s values are zero, the stronger its"
                    " colour."
                    " Empty rows and columns, and blocks, can be left out by a runtime; zeros that"
                    " lie scattered mostly cannot.",
                    _of(len(found), pictures.heats_of, "weights"),
                ),
            )
        ),
        tuple(map(_heat, found, _titles(found))),
        many=True,
    )


def _heat(one: HeatReport, title: str) -> Figure:
    words = (
        f"{number(one.rows)} {one.row_words} down, {number(one.columns)} {one.column_words} across"
    )
    spans = [*_spans(one.columns, one.cell_columns, len(one.cells[0]) if one.cells else 0)]
    corner = f"% zeros: {one.row_words} \\ {one.column_words}"
    columns = (Column(corner), *(Column(at) for at in spans))
    named = _spans(one.rows, one.cell_rows, len(one.cells))
    rows = tuple((at, *map(_percent, cells)) for at, cells in zip(named, one.cells, strict=True))
    return Figure(title, words, heat(one), None, Table(columns, rows))


def _percent(share: float) -> str:
    """In whole percent; with decimals where it would read 0 or 100, and is neither."""
    whole = round(100 * share)
    return f"{whole}" if 0 < whole < 100 or share in (0, 1) else f"{100 * share:.2f}"


def _spans(whole: int, each: int, cells: int) -> Iterator[str]:
    """(10, 4, 3) -> "0-3", "4-7", "8-9": which rows or columns a cell has."""
    for at in range(cells):
        first, last = at * each, min((at + 1) * each, whole) - 1
        yield f"{first}" if first == last else f"{first}–{last}"


def operators(_artifact: ArtifactReport, pictures: PicturesReport) -> Part:
    """What each operator of a converted model takes."""
    found = pictures.operators
    words = (
        "The operators in the order in which they run: multiply-accumulates of one call, bytes of"
        " the constants that each reads, and bytes that it puts out."
    )
    words = f"{words} {_of(len(found), pictures.operators_of, 'operators', 'costliest')}".strip()
    table = Table(
        (
            Column("operator", words=True, least=20),
            Column("name", words=True, least=20),
            Column("MACs"),
            Column("weight bytes"),
            Column("activation bytes"),
        ),
        tuple(
            (
                one.op,
                one.name,
                optional(one.macs),
                optional(one.weight_bytes),
                optional(one.activation_bytes),
            )
            for one in found[:ROWS]
        ),
    )
    return Part(
        "operators",
        "What each operator costs",
        "",
        pair(lambda width: operator_bars(found, width), "Operators", words, table),
    )

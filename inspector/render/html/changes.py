"""Pairs of tensors as a page shows them: what changed most as pictures, all of them as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from inspector.render.drawing.bars import before_and_after
from inspector.render.drawing.histogram import paired
from inspector.render.drawing.shapes import NARROW, WIDE
from inspector.render.html.figure import Figure
from inspector.render.pair_rows import brief, change, name, spelled, tensor_changes, turned
from inspector.render.printable import shape, value
from inspector.render.rows import Table, row_around
from inspector.render.table import Column
from inspector.report import Diff, DiffPair, DiffPicture, DiffValues, Report, WeightsReport
from inspector.words import count, number, percent

_ROWS = 10_000  # of the table of all pairs
_STATES = {"added": "only in B", "removed": "only in A"}


@dataclass(frozen=True, slots=True)
class Change:
    """A pair whose values changed. numbers: what is said of it, each a label and a text."""

    figure: Figure
    numbers: tuple[tuple[str, str], ...]


def changes(report: Report, diff: Diff) -> list[Change]:
    """The pairs that have a picture, in the order of the pairs, what changed most first."""
    pictures = {(one.a, one.b): one for one in diff.pictures or ()}
    found = []
    for pair in spelled(report, diff):
        if pair.a is None or pair.b is None or pair.values is None:
            continue
        picture = pictures.get((pair.a.name, pair.b.name))
        if picture is not None:
            found.append(_change(pair, pair.values, picture))
    return found


def _change(pair: DiffPair, values: DiffValues, picture: DiffPicture) -> Change:
    words = f"What changed: {change((pair,)) or 'values'}."
    drawn = paired(picture)
    figure = Figure(name((pair,)), words, drawn, drawn, _bars(picture))
    return Change(figure, tuple(_numbers(pair, values)))


def _numbers(pair: DiffPair, values: DiffValues) -> Iterator[tuple[str, str]]:
    """What tells how much changed; what does not apply is left out."""
    whole = values.elements
    yield "differ", f"{number(values.differing)} of {number(whole)} ({_share(values)})"
    measures = (
        ("largest difference", brief(values.largest)),
        ("mean difference", brief(values.mean)),
        ("relative norm", brief(values.relative_norm)),
        ("cosine", value(values.cosine) if values.cosine is not None else ""),
        ("in steps of the scale", brief(values.in_scale_units)),
        ("in units of the last place", brief(values.ulps)),
        ("clipped", number(values.clipped) if values.clipped else ""),
        ("sign flips", number(values.sign_flips)),
        ("zeros", _zeros(values)),
    )
    yield from ((label, text) for label, text in measures if text)
    if pair.a and pair.b and (pair.a.dtype, pair.a.shape) != (pair.b.dtype, pair.b.shape):
        forms = dict.fromkeys(f"{one.dtype} {shape(one.shape)}" for one in (pair.a, pair.b))
        yield "form", " → ".join(forms)


def _share(values: DiffValues) -> str:
    return percent(values.differing, values.elements)


def _zeros(values: DiffValues) -> str:
    """Before and after, gained and lost: "320 → 412 (+100, −8)"."""
    both = f"{number(values.zeros_a)} → {number(values.zeros_b)}"
    if not values.zeros_gained and not values.zeros_lost:
        return number(values.zeros_a) if values.zeros_a == values.zeros_b else both
    return f"{both} (+{number(values.zeros_gained)}, −{number(values.zeros_lost)})"


def _bars(picture: DiffPicture) -> Table:
    """What the picture shows, a row a bar."""
    columns = (Column("from"), Column("to"), Column("A"), Column("B"))
    edges: dict[tuple[float, float], list[int]] = {}
    for side, bars in enumerate((picture.bars_a, picture.bars_b)):
        for bar in bars:
            edges.setdefault((bar.low, bar.high), [0, 0])[side] = bar.elements
    rows = [
        (value(low), value(high), number(a), number(b)) for (low, high), (a, b) in edges.items()
    ]
    zeros = ("0", "0", number(picture.zeros_a), number(picture.zeros_b))
    return Table(columns, (zeros, *rows))


def all_pairs(report: Report, diff: Diff) -> Table:
    """Every pair, that which changed most first, unchanged ones last."""
    pairs = spelled(report, diff)
    made = tensor_changes(pairs[:_ROWS], everything=True)
    if not made.rows:
        return made
    first = next(at for at, column in enumerate(made.columns) if column.head == "tensor")
    heads = [column for column in made.columns if column.head not in ("", "tensor")]
    kept = [at for at, column in enumerate(made.columns) if column in heads]
    columns = (made.columns[first], Column("status", words=True), *heads)
    rows = tuple(
        (row[first], _STATES.get(state, state), *(row[at] for at in kept))
        for row, state in zip(made.rows, made.tones, strict=True)
    )
    left = len(pairs) - _ROWS
    note = f"... and {count(left, 'more pair')} (all in --format json)." if left > 0 else ""
    return Table(columns, rows, (), note)


Zeros = tuple[str, WeightsReport | None, WeightsReport | None]


def zeros_of_layers(report: Report, diff: Diff) -> Figure | None:
    """What is zero in each layer before and after; null where no values were counted."""
    layers = _layers(report, diff)
    wide = before_and_after(layers, WIDE)
    if not wide.height:
        return None
    columns = (
        Column("layer", words=True, least=20),
        *(Column(f"{what} {side}") for side in "AB" for what in ("weights", "zeros", "share")),
    )
    rows = tuple((layer, *_cells(a), *_cells(b)) for layer, a, b in layers)
    words = "Weights of each layer that are not zero, and those that are: A above, B below."
    return Figure("Zeros", words, wide, before_and_after(layers, NARROW), Table(columns, rows))


def _cells(weights: WeightsReport | None) -> tuple[str, str, str]:
    if weights is None or not weights.elements:
        return "", "", ""
    return (
        number(weights.elements),
        number(weights.zeros),
        percent(weights.zeros, weights.elements),
    )


def _layers(report: Report, diff: Diff) -> list[Zeros]:
    """A's layers with those of B that hold the same weights, then those that B has alone."""
    if len(report.artifacts) < 2:
        return []
    a, b = ({one.name: one.weights for one in found.layers} for found in report.artifacts[:2])
    partners: dict[str, str] = {}
    taken: set[str] = set()
    for pair in diff.pairs:
        if pair.a and pair.b and pair.a.role == "weight":
            one, other = row_around(pair.a.layer, a), row_around(pair.b.layer, b)
            if one is None or other is None or one in partners or other in taken:
                continue
            partners[one] = other
            taken.add(other)
    of_a = [(_name(one, partners), found, b.get(partners.get(one, ""))) for one, found in a.items()]
    both = [*of_a, *((one, None, found) for one, found in b.items() if one not in taken)]
    return [one for one in both if any(found and found.elements for found in one[1:])]


def _name(layer: str, partners: Mapping[str, str]) -> str:
    return turned(layer or "(model)", partners.get(layer))

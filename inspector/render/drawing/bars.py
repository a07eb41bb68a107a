"""A bar a layer: weights that are kept, and zeros, end to end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from inspector.render.drawing.labels import whole
from inspector.render.drawing.rows import Row, Segment, rows_drawing
from inspector.render.drawing.shapes import WIDE, Drawing, Key, amount
from inspector.report import LayerReport, WeightsReport
from inspector.words import number, percent

_MOST = 40  # layers with a bar of their own
_SMALL = 0.01  # of all bytes: less has no bar of its own
_KEYS = (Key("kept", "not zero"), Key("zero", "zero"))


def layer_bars(layers: Sequence[LayerReport], width: float = WIDE) -> Drawing:
    """Layers in their order; of many the largest, and the rest as one. Empty if unmeasured."""
    found = [
        (one.name or "(model)", one.weights)
        for one in layers
        if one.weights and one.weights.elements
    ]
    rows = [_row(name, weights) for name, weights in _bounded(found)]
    return _keyed(rows_drawing(rows, width))


def before_and_after(
    pairs: Sequence[tuple[str, WeightsReport | None, WeightsReport | None]], width: float = WIDE
) -> Drawing:
    """Two bars a layer, of A's weights and of B's; null where one has none.

    A layer is a name and its weights on both sides, in the order wanted.
    """
    found = [one for one in pairs if _elements(one[1]) + _elements(one[2])]
    largest = _largest([max(_elements(a), _elements(b)) for _, a, b in found])
    rows = [row for at in largest for row in _two(*found[at])]
    drawing = _keyed(rows_drawing(rows, width))
    left = len(found) - len(largest)
    note = (f"{number(left)} smaller layers have no bar here.",) if left else ()
    return replace(drawing, notes=note)


def _two(name: str, a: WeightsReport | None, b: WeightsReport | None) -> Iterator[Row]:
    for side, weights in (("A", a), ("B", b)):
        row = _row(name, weights or WeightsReport(0, 0, None), f"{side}: ")
        yield replace(row, name=name if side == "A" else "", close=side == "B")


def _elements(weights: WeightsReport | None) -> int:
    return weights.elements if weights else 0


def _bounded(found: Sequence[tuple[str, WeightsReport]]) -> Iterator[tuple[str, WeightsReport]]:
    largest = _largest([weights.elements for _, weights in found])
    yield from (found[at] for at in largest)
    rest = [weights for at, (_, weights) in enumerate(found) if at not in largest]
    if rest:
        elements, zeros = sum(one.elements for one in rest), sum(one.zeros for one in rest)
        yield f"{number(len(rest))} more layers", WeightsReport(elements, zeros, None)


def _largest(sizes: Sequence[int]) -> list[int]:
    """Places of those that have a bar of their own, in their order."""
    return sorted(sorted(range(len(sizes)), key=lambda at: -sizes[at])[:_MOST])


def _row(name: str, weights: WeightsReport, side: str = "") -> Row:
    """Kept ones first: what stays of a pruned model is read off the same end of each bar."""
    kept = weights.elements - weights.zeros
    said = f"{side}{number(kept)} of {number(weights.elements)} are not zero"
    zeros = f"{side}{number(weights.zeros)} zeros, {percent(weights.zeros, weights.elements)}"
    segments = (
        Segment(0, kept, "kept", f"{whole(name)}, {said}"),
        Segment(kept, weights.elements, "zero", f"{whole(name)}, {zeros}"),
    )
    return Row(name, segments, _told(weights, side))


def _told(weights: WeightsReport, side: str) -> str:
    if not weights.elements:
        return f"{side}none"
    if not weights.zeros:
        return f"{side}none of {number(weights.elements)} zero"
    share = percent(weights.zeros, weights.elements)
    return f"{side}{number(weights.zeros)} of {number(weights.elements)} zero ({share})"


def _keyed(drawing: Drawing) -> Drawing:
    return replace(drawing, keys=_KEYS) if drawing.boxes else drawing


def byte_bars(a: Mapping[str, int], b: Mapping[str, int], width: float = WIDE) -> Drawing:
    """Bytes of each label before and after, two bars a label, the largest first.

    Labels that have less than a hundredth of the larger artifact in either are one.
    """
    sizes = [(label, a.get(label, 0), b.get(label, 0)) for label in {**a, **b}]
    least = max(sum(map(amount, a.values())), sum(map(amount, b.values()))) * _SMALL
    large = sorted((one for one in sizes if max(one[1:]) >= least), key=lambda one: -max(one[1:]))
    small = [one for one in sizes if max(one[1:]) < least]
    if len(small) > 1:
        sums = sum(one[1] for one in small), sum(one[2] for one in small)
        small = [(f"{number(len(small))} smaller parts", *sums)]
    rows = [
        Row(
            label if side == "A" else "",
            (Segment(0, amount(size), css, f"{whole(label)}, {side}: {number(size)} bytes"),),
            f"{side}: {number(size)}",
            close=side == "B",
        )
        for label, of_a, of_b in (*large, *small)
        for side, css, size in (("A", "side-a", of_a), ("B", "side-b", of_b))
    ]
    keys = (Key("side-a", "A, before"), Key("side-b", "B, after"))
    drawing = rows_drawing(rows, width)
    return replace(drawing, keys=keys) if drawing.boxes else drawing


def size_bars(sizes: Sequence[tuple[str, int]], width: float = WIDE) -> Drawing:
    """Sizes in bytes by name, in the order given."""
    rows = [
        Row(name, (Segment(0, nbytes, "size", f"{name}: {number(nbytes)} bytes"),), number(nbytes))
        for name, nbytes in sizes
    ]
    return rows_drawing(rows, width)

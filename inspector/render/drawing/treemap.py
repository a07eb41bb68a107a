"""A map of all bytes: each part of the file an area as large as its share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from inspector.render.drawing.labels import fits, fitted, whole
from inspector.render.drawing.roles import css_of
from inspector.render.drawing.shapes import (
    NARROW,
    SIZE,
    WIDE,
    Box,
    Drawing,
    Key,
    Text,
    amount,
    box,
    place,
)
from inspector.report import AreaReport
from inspector.words import count, number, percent, some

_HEIGHTS = {WIDE: 420, NARROW: 480}
_SEEN = 90  # square units from which on an area is seen for itself
_CELLS = 60  # of a label; more are a texture that nobody reads
_DRAWN = 0.05  # square units below which there is nothing to draw
_PAD = 6
_LINE = SIZE + 4

Edges = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class _Part:
    """Bytes that are an area, and what they are made of: a label of its layers, a layer of none."""

    name: str
    nbytes: int
    css: str
    title: str
    parts: tuple[_Part, ...] = ()


def treemap(areas: Sequence[AreaReport], width: float = WIDE) -> Drawing:
    """First by label, then within it by layer; area is proportional to bytes throughout.

    What is too small to be seen is put together ("12 more"), within its label, and the labels
    themselves likewise. The layout depends on the areas alone, not on their order.
    """
    height = _HEIGHTS.get(int(width), width / 2)
    everything = sum(one.nbytes for one in areas)
    labels = _labels([one for one in areas if amount(one.nbytes)], everything)
    total = sum(label.nbytes for label in labels)
    if not total:
        return Drawing(width, 0)
    unit = width * height / total
    boxes: list[Box] = []
    texts: list[Text] = []
    for label, edges in _laid(_merged(labels, unit), (0, 0, width, height)):
        left, top, right, bottom = edges
        head = fits(label.name, right - left - 2 * _PAD) if bottom - top >= _PAD + _LINE else ""
        for part, cell in _laid(_merged(label.parts, unit), edges):
            boxes.append(box(*cell, f"area {part.css}", part.title))
            beneath = cell[1] == top and head != ""
            texts += _texts(part, cell, _LINE if beneath else 0)
        if head:
            css = f"area-label on-{label.css}"
            texts.append(Text(place(left + _PAD), place(top + _LINE), head, css))
    keys = tuple(Key(one.css, f"{one.name} {number(one.nbytes)}") for one in labels)
    return Drawing(width, height, tuple(boxes), tuple(texts), keys=keys)


def _labels(areas: Sequence[AreaReport], total: int) -> list[_Part]:
    """The labels, and the layers of each, the largest first. total: bytes of the artifact."""
    layers: dict[str, list[_Part]] = {}
    for area in areas:
        name = area.layer or (count(area.layers, "more layer") if area.layers else "")
        of = f" of {whole(name)}" if name else ""
        title = f"{whole(area.label)}{of}: {_size(area.nbytes, total)}"
        part = _Part(name, area.nbytes, css_of(area.role), title)
        layers.setdefault(area.label, []).append(part)
    return list(_sorted([_label(whole(label), _sorted(parts)) for label, parts in layers.items()]))


def _label(name: str, parts: tuple[_Part, ...]) -> _Part:
    return _Part(name, sum(one.nbytes for one in parts), parts[0].css, "", parts)


def _size(nbytes: int, total: int) -> str:
    return f"{number(nbytes)} bytes, {percent(nbytes, total)}"


def _sorted(parts: Sequence[_Part]) -> tuple[_Part, ...]:
    return tuple(sorted(parts, key=lambda one: (-one.nbytes, one.name, one.title, one.css)))


def _merged(parts: Sequence[_Part], unit: float) -> list[_Part]:
    """Sorted parts, those that are not seen for themselves as one."""
    seen = [part for part in parts[:_CELLS] if part.nbytes * unit >= _SEEN]
    rest = list(parts[len(seen) :])
    if len(rest) < 2:
        return [*seen, *rest]
    nbytes = sum(part.nbytes for part in rest)
    names = some([part.name or part.title for part in rest], 8)
    title = f"{number(nbytes)} bytes of {names}"
    css = rest[0].css if len({part.css for part in rest}) == 1 else css_of(None)
    more = _Part(f"{number(len(rest))} {'more' if seen else 'parts'}", nbytes, css, title)
    return list(_sorted([*seen, replace(more, parts=(more,))]))


def _laid(parts: Sequence[_Part], edges: Edges) -> Iterator[tuple[_Part, Edges]]:
    """Where each part goes within the edges, all of which they fill."""
    from squarify import normalize_sizes, squarify

    left, top, right, bottom = edges
    width, height = right - left, bottom - top
    total = sum(part.nbytes for part in parts)
    drawn = [part for part in parts if part.nbytes / total * width * height > _DRAWN]
    sizes = normalize_sizes([part.nbytes for part in drawn], width, height)
    for part, at in zip(drawn, squarify(sizes, left, top, width, height), strict=True):
        yield part, (at["x"], at["y"], at["x"] + at["dx"], at["y"] + at["dy"])


def _texts(part: _Part, edges: Edges, down: float) -> Iterator[Text]:
    """What fits of the layer's name and the bytes, so far down from the cell's top: no number
    without the name that it is of.
    """
    left, top, right, bottom = edges
    room = right - left - 2 * _PAD
    called = fitted(part.name, room)
    told = called or (down and not part.name)
    found = [
        (called, "area-name"),
        (fits(number(part.nbytes), room) if told else "", "area-number"),
    ]
    lines = [(text, css) for text, css in found if text]
    top += down
    for at, (text, css) in enumerate(lines[: max(int((bottom - top - _PAD) / _LINE), 0)], 1):
        yield Text(place(left + _PAD), place(top + at * _LINE), text, f"{css} on-{part.css}")

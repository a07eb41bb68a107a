"""How the values of a pair spread before and after, in the same bars on both sides."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from inspector.limits import DEFAULT, Limits
from inspector.model import Artifact, Tensor
from inspector.pictures.reading import has_numbers, if_readable, is_whole, real, stored
from inspector.pictures.spread import EXACT, edges_of, span, spread, whole_edges
from inspector.report import ArtifactReport, Diff, DiffPair, DiffPicture, MeasureReport

MOST_PAIRS = 12


@dataclass(frozen=True, slots=True)
class _Side:
    """One of two artifacts, by the names of its tensors."""

    tensors: Mapping[str, Tensor]
    measures: Mapping[str, MeasureReport | None]

    @classmethod
    def of(cls, artifact: Artifact, shown: ArtifactReport) -> _Side:
        return cls(
            {tensor.name: tensor for tensor in artifact.tensors},
            {entry.name: entry.measure for entry in shown.tensors},
        )


def diff_pictures(
    diff: Diff,
    a: tuple[Artifact, ArtifactReport],
    b: tuple[Artifact, ArtifactReport],
    limits: Limits = DEFAULT,
    most: int = MOST_PAIRS,
) -> Diff:
    """The difference with pictures of the first pairs whose values changed: those come in the order
    in which they matter, what changed most first.

    Values of quantized tensors are what they stand for. A saved report has no values, and what
    cannot be read, or is not as many values in both, has no picture. Raises LimitExceeded where the
    time is up or the memory full.
    """
    sides = _Side.of(*a), _Side.of(*b)
    drawn = (
        if_readable(functools.partial(_picture, one, *sides, limits))
        for one in _changed(diff.pairs)
    )
    found = itertools.islice((one for one in drawn if one is not None), most)
    return replace(diff, pictures=tuple(found))


def _changed(pairs: Iterable[DiffPair]) -> Iterator[tuple[str, str]]:
    for one in pairs:
        if one.a is None or one.b is None or one.values is None or not one.values.differing:
            continue
        if one.a.elements == one.b.elements > 1:
            yield one.a.name, one.b.name


def _picture(names: tuple[str, str], a: _Side, b: _Side, limits: Limits) -> DiffPicture | None:
    """The picture of a pair, None where there is nothing to draw. Raises ArtifactError."""
    tensors = a.tensors[names[0]], b.tensors[names[1]]
    if not all(map(has_numbers, tensors)):
        return None
    quantized = any(one.real is not None for one in tensors)
    whole = [is_whole(one) and (one.real is None) for one in tensors]
    if whole[0] != whole[1]:
        return None  # integers, and nothing says what they stand for
    sources = [functools.partial(real if quantized else stored, one, limits) for one in tensors]
    measures = [None] * 2 if quantized else [a.measures[names[0]], b.measures[names[1]]]
    ends = [
        found
        for source, measure in zip(sources, measures, strict=True)
        if (found := span(source, *_range(measure))) is not None
    ]
    if not ends:
        return None
    low, high = min(one for one, _ in ends), max(one for _, one in ends)
    if all(whole) and max(-low, high) < EXACT:
        edges = whole_edges(int(low), int(high))
    else:
        edges = edges_of(low, high)
    before, after = (spread(source, edges) for source in sources)
    return DiffPicture(*names, before.bars, after.bars, before.zeros, after.zeros)


def _range(measure: MeasureReport | None) -> tuple[float | None, float | None, int]:
    """Least, greatest and zeros as measured, as `span` takes them."""
    if measure is None or isinstance(measure.min, str) or isinstance(measure.max, str):
        return None, None, 0
    return measure.min, measure.max, measure.zeros

"""Weights that are all there and not where they were: reordered, split, fused.

Looked for last, and only where nothing else explains a pair or a tensor without one; the values
have to say so, every one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from inspector.errors import ArtifactError
from inspector.limits import Limits
from inspector.measure import compare
from inspector.model import Tensor
from inspector.pairing.content import holds
from inspector.pairing.fingerprints import along, has_bits, unordered
from inspector.pairing.names import is_weight
from inspector.pairing.nouns import Change, Order, Pair, Pairing, Part, Side, in_order
from inspector.payloads import FilledPayload, numpy_dtype
from inspector.values import Array

# Axes of whole tensors that parts are looked for along: each costs a pass over the values.
_TRIES = 256
_MIRROR = {"split": "fused", "fused": "split"}


def parted(a: Side, b: Side, found: Pairing, limits: Limits) -> Pairing:
    """The pairing with what was split or fused named."""
    for kind in _MIRROR:
        found = _parted(a, b, found, kind, limits)
    return found


def mirrored(change: Change) -> Change:
    """What it is called from the other side."""
    kind = _MIRROR.get(change.kind, change.kind)
    return replace(change, kind=kind, words=change.words.replace(change.kind, kind, 1))


def _is_readable(tensor: Tensor, limits: Limits) -> bool:
    """Whether its values may be looked through: they are in the file, and plain."""
    if tensor.payload is None or isinstance(tensor.payload, FilledPayload):
        return False
    if tensor.real is not None or not tensor.shape or not has_bits(tensor):
        return False
    return 1 < tensor.elements * numpy_dtype(tensor.dtype).itemsize <= limits.inflated_bytes


# --- reordered -----------------------------------------------------------------------------------


def reordered(a: Tensor, b: Tensor, room: int, limits: Limits) -> Change | None:
    """`b` has the values of `a` with the indices of one axis in another order.

    room: for so many fingerprints, of both; an order, once found, is kept.
    """
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return None
    if not (_is_readable(a, limits) and _is_readable(b, limits)):
        return None
    try:
        if compare(a, b, limits) or unordered(a, limits) != unordered(b, limits):
            return None
        for axis, size in enumerate(a.shape or ()):
            if 2 * size > room:
                continue
            order = _order(along(a, axis, limits), along(b, axis, limits))
            if order is not None:
                words = f"its {_indices(a, axis)} are in another order"
                change = Change("reordered", words, shape=b.shape, order=Order(axis, order))
                if holds(a, b, change, limits):
                    return replace(change, expected=False)
    except ArtifactError:
        return None
    return None


def _order(a: Array, b: Array) -> tuple[int, ...] | None:
    """Where in `a` each of `b` is; None where they are not the same, or mostly one another."""
    if 2 * np.unique(a).size <= a.size:
        return None  # Zeros and ones in any order are no order
    left, right = np.argsort(a, kind="stable"), np.argsort(b, kind="stable")
    if not np.array_equal(a[left], b[right]):
        return None
    places = np.empty_like(left)
    places[right] = left
    return tuple(places.tolist())


def _indices(tensor: Tensor, axis: int) -> str:
    """What the indices of an axis are called."""
    names = {1: ("values",), 2: ("rows", "columns")}.get(len(tensor.shape or ()))
    return f"slices along axis {axis}" if names is None else names[axis]


# --- split and fused -----------------------------------------------------------------------------


def _parted(a: Side, b: Side, found: Pairing, kind: str, limits: Limits) -> Pairing:
    """The pairing with tensors of `b` that are parts of one of `a`; "fused": the other way."""
    loose = [pair for pair in found.pairs if _is_loose(pair)]
    sides = (
        _weights(a, (*found.only_a, *(pair.a for pair in loose))),
        _weights(b, (*found.only_b, *(pair.b for pair in loose))),
    )
    wholes, parts = sides if kind == "split" else sides[::-1]
    pairs = []
    for whole, part, where in _Search(parts, limits).run(wholes):
        change = _part_of(whole, part, where, kind)
        one, other = (whole, part) if kind == "split" else (part, whole)
        pairs.append(Pair(one, other, "equal values", "content", change))
    if not pairs:
        return found
    taken = {pair.a.name for pair in pairs}, {pair.b.name for pair in pairs}
    dropped = [pair for pair in loose if pair.a.name in taken[0] or pair.b.name in taken[1]]
    kept = [pair for pair in found.pairs if pair not in dropped]
    return replace(
        found,
        pairs=in_order((*kept, *pairs), a),
        only_a=_without(a, (*found.only_a, *(pair.a for pair in dropped)), taken[0]),
        only_b=_without(b, (*found.only_b, *(pair.b for pair in dropped)), taken[1]),
    )


def _is_loose(pair: Pair) -> bool:
    """Whether two tensors are a pair by their names, and of other shapes."""
    return pair.change is None and pair.a.shape != pair.b.shape


def _weights(side: Side, tensors: Iterable[Tensor]) -> list[Tensor]:
    return [tensor for tensor in tensors if is_weight(side.verdicts[tensor.name].role)]


def _without(side: Side, tensors: Iterable[Tensor], taken: set[str]) -> tuple[Tensor, ...]:
    """Those that are not taken, in the artifact's order."""
    left = {tensor.name for tensor in tensors} - taken
    return tuple(tensor for tensor in side.artifact.tensors if tensor.name in left)


def _part_of(whole: Tensor, part: Tensor, where: Part, kind: str) -> Change:
    size = (whole.shape or ())[where.axis]
    which = _indices(whole, where.axis)
    words = f"{kind}: {which} {where.start:,} to {where.stop - 1:,} of {size:,}"
    back = kind == "fused"
    return Change(kind, words, part=where, shape=part.shape, expected=False, backwards=back)


@dataclass(slots=True)
class _Search:
    """Looks for tensors that are made up of some parts.

    layers: layer of a whole -> those of its parts, once values have told: what says nothing by its
    values (zeros) is told by them.
    """

    parts: Sequence[Tensor]
    limits: Limits
    tries: int = _TRIES
    used: set[str] = field(default_factory=set)
    layers: dict[str | None, tuple[str | None, ...]] = field(default_factory=dict)

    def run(self, wholes: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor, Part]]:
        """(whole, part, where of it), all parts of a whole in their order."""
        for whole in sorted(wholes, key=lambda tensor: -tensor.elements):
            for axis in range(len(whole.shape or ())):
                found = self._along(whole, axis)
                if found:
                    self.used.update(part.name for part, _ in found)
                    self.layers.setdefault(whole.layer, tuple(part.layer for part, _ in found))
                    yield from ((whole, part, where) for part, where in found)
                    break

    def _along(self, whole: Tensor, axis: int) -> list[tuple[Tensor, Part]]:
        fits = self._fits(whole, axis)
        size = (whole.shape or ())[axis]
        total = sum(sides[axis] for _, sides in fits)
        enough = len(fits) > 1 and size <= total <= self.limits.fingerprints
        if not enough or not self.tries or not _is_readable(whole, self.limits):
            return []
        self.tries -= 1
        try:
            found = self._cover(whole, axis, fits)
        except ArtifactError:
            return []
        sure = (
            holds(whole, p, _part_of(whole, p, where, "split"), self.limits) for p, where in found
        )
        return found if all(sure) else []

    def _fits(self, whole: Tensor, axis: int) -> list[tuple[Tensor, tuple[int, ...]]]:
        """Parts that lie along the axis by their shapes, with one side for each of the whole's."""
        sides = whole.shape or ()
        others = (*sides[:axis], *sides[axis + 1 :])
        found = []
        for part in self.parts:
            shape = part.shape
            if shape is None or part.dtype != whole.dtype or part.name in self.used:
                continue
            if shape == others:  # one of a stack
                shape = (*sides[:axis], 1, *sides[axis + 1 :])
            alike = len(shape) == len(sides) and (*shape[:axis], *shape[axis + 1 :]) == others
            if alike and 0 < shape[axis] < sides[axis] and _is_readable(part, self.limits):
                found.append((part, shape))
        return found

    def _cover(
        self, whole: Tensor, axis: int, fits: Sequence[tuple[Tensor, tuple[int, ...]]]
    ) -> list[tuple[Tensor, Part]]:
        """Parts that are the whole one after another; none unless they are all of it."""
        marks = along(whole, axis, self.limits)
        if (marks == marks[0]).all():
            # Any zeros are these zeros: only beside parts that something else told.
            layers = self.layers.get(whole.layer, ())
            fits = [one for layer in layers for one in fits if one[0].layer == layer]
        left = [(part, along(part, axis, self.limits, sides)) for part, sides in fits]
        found: list[tuple[Tensor, Part]] = []
        at = 0
        while at < marks.size:
            here = (one for one in left if np.array_equal(marks[at : at + one[1].size], one[1]))
            part = next(here, None)
            if part is None:
                return []
            left = [one for one in left if one is not part]
            found.append((part[0], Part(axis, at, at + part[1].size)))
            at += part[1].size
        return found

"""What a pair's change makes of one tensor, tile by tile, beside what the other one has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.errors import Corrupt
from inspector.limits import Limits
from inspector.measure import same
from inspector.model import Tensor
from inspector.pairing.nouns import (
    Absorbed,
    Change,
    Clustered,
    Folded,
    Makes,
    Masked,
    Order,
    Pair,
    Part,
    Scaled,
)
from inspector.pairing.values import Index, Layout, nothing, tiles, whole, wide
from inspector.payloads import numpy_dtype
from inspector.values import Array, native

_WIDEST = 8  # bytes of a value once it has been reckoned with


@dataclass(frozen=True, slots=True)
class Seen:
    """Some values as the change makes them, and as they are.

    mask: of the same places; of_expected: it is for the expected values, not for the actual ones.
    at: place of the first, where they follow one another in C order; index: the tile they are,
    where they do not. times: how many each stands for. scale: size of one step of the quantized
    side, whose real values `actual` has; beyond: where the quantized side is at an end of its range
    and the expected value lies past it. bits: False where real values stand here for integers that
    are not the same ones.
    """

    expected: Array
    actual: Array
    mask: Array | None = None
    of_expected: bool = False
    at: int = 0
    index: Index | None = None
    times: int = 1
    scale: Array | None = None
    beyond: Array | None = None
    bits: bool = True

    def place(self, flat: int) -> int | tuple[int, ...]:
        """Where in the tensor the `flat`-th of these values is."""
        if self.index is None:
            return self.at + flat
        inside = np.unravel_index(flat, self.expected.shape)
        return tuple(one.start + int(i) for one, i in zip(self.index, inside, strict=True))


class View:
    """A tensor's values in a layout, read a tile at a time."""

    def __init__(
        self, tensor: Tensor, layout: Layout, limits: Limits, order: Order | None = None
    ) -> None:
        self._values = layout(whole(tensor, limits))
        self._order = order

    def __getitem__(self, index: Index) -> Array:
        part = np.asarray(self._values[self._ordered(index)])
        return native(part).reshape(part.shape)

    def _ordered(self, index: Index) -> tuple[Any, ...]:
        """Where the tile is before its axis is put in order."""
        if self._order is None:
            return index
        axis = self._order.axis
        places = np.asarray(self._order.places[index[axis]], "i8")
        return (*index[:axis], places, *index[axis + 1 :])


def layout_of(change: Change | None) -> Layout:
    """What a change does to places: cuts out, turns, then reshapes. Views, never copies."""
    if change is None:
        return nothing

    def layout(values: Array) -> Array:
        if change.part is not None:
            values = values[_cut(values.ndim, change.part)]
        if change.axes is not None:
            values = values.transpose(change.axes)
        return values if change.shape is None else values.reshape(change.shape)

    return layout


def _cut(rank: int, part: Part) -> Index:
    index = [slice(None)] * rank
    index[part.axis] = slice(part.start, part.stop)
    return tuple(index)


def target_dtype(pair: Pair) -> str | None:
    """The dtype that the values were cast to; None where they were not."""
    change = pair.change
    if change is None or "cast" not in change.kind:
        return None
    return pair.a.dtype if change.backwards else pair.b.dtype


def applied(
    before: Tensor, after: Tensor, change: Change | None, mask: Tensor | None, limits: Limits
) -> Iterator[Seen]:
    """The change of `before`, beside `after`."""
    layout = layout_of(change)
    expected = _expected(before, change, limits)
    actual = View(after, nothing, limits)
    masks = None if mask is None else View(mask, layout, limits)
    for index in tiles(after.shape or (), max(limits.slice_bytes // _WIDEST, 1)):
        y = actual[index]
        x = expected[index]
        scale = beyond = None
        bits = True
        if after.real is not None:
            bits = not isinstance(expected, _Expected) or expected.same_codes(index, y)
            scale, y, beyond = _real(after, index, x, y)
        yield Seen(
            expected=x,
            actual=y,
            mask=None if masks is None else masks[index],
            index=index,
            scale=scale,
            beyond=beyond,
            bits=bits,
        )


def _real(after: Tensor, index: Index, x: Array, codes: Array) -> tuple[Array, Array, Array]:
    """(steps, real values, where the codes are at an end and the expected value is past it).

    Past it is what is nearer to a code that is not there.
    """
    assert after.real is not None  # noqa: S101 - the caller looked
    scale, zero = after.real.steps(index)
    wider = codes.astype("f8")
    y: Array = (wider - zero) * scale
    low, high = after.real.ends
    past = (np.abs(x - y) > scale / 2) & (((wider <= low) & (x < y)) | ((wider >= high) & (x > y)))
    return scale, y, past


class _Expected:
    """What the change makes of a tensor, by tile of the result."""

    def __init__(self, before: Tensor, change: Change | None, limits: Limits) -> None:
        layout = layout_of(change)
        self._view = View(before, layout, limits, None if change is None else change.order)
        self._real = before.real
        moves = change is not None and (change.axes or change.part or change.shape)
        self._steps = _steps(before, layout) if before.real and moves else None

    def same_codes(self, index: Index, codes: Array) -> bool:
        """Whether the integers that stand for real values are these."""
        return self._real is None or same(self._view[index], codes)

    def __getitem__(self, index: Index) -> Array:
        values = self._view[index]
        if self._real is None:
            return values
        # Integers of both sides are compared as what they stand for.
        if self._steps is None:
            scale, zero = self._real.steps(index)
        else:
            scale, zero = (one[index] for one in self._steps)
        real: Array = (values.astype("f8") - zero) * scale
        return real


def _steps(tensor: Tensor, layout: Layout) -> tuple[Array, Array]:
    """Scales and zero points of all values: views, unless the layout has to copy them."""
    shape = tensor.shape or ()
    assert tensor.real is not None  # noqa: S101 - the caller looked
    found = tensor.real.steps(tuple(slice(0, side) for side in shape))
    scale, zero = (layout(np.broadcast_to(one, shape)) for one in found)
    return scale, zero


class _Masked(_Expected):
    def __init__(self, before: Tensor, change: Change, value: Masked, limits: Limits) -> None:
        super().__init__(before, change, limits)
        self._mask = View(value.mask, layout_of(change), limits)

    def __getitem__(self, index: Index) -> Array:
        x = self._view[index]
        product: Array = x * self._mask[index].astype(x.dtype)
        return product


class _Clustered(_Expected):
    def __init__(self, before: Tensor, change: Change, value: Clustered, limits: Limits) -> None:
        super().__init__(value.indices, change, limits)
        self._name = before.name
        self._centroids = whole(value.centroids, limits).reshape(-1)

    def __getitem__(self, index: Index) -> Array:
        places = self._view[index]
        if places.size and not 0 <= places.min() <= places.max() < self._centroids.size:
            raise Corrupt(f"a cluster's index of {self._name} leads past the centroids", "")
        found: Array = self._centroids[places]
        return found


class _Factored(_Expected):
    """Values times a factor: one number, or one for each channel."""

    def __init__(self, before: Tensor, change: Change, factors: Array, limits: Limits) -> None:
        super().__init__(before, change, limits)
        self._dtype = numpy_dtype(before.dtype)
        self._factors = layout_of(change)(np.broadcast_to(factors, before.shape or ()))

    def __getitem__(self, index: Index) -> Array:
        with np.errstate(all="ignore"):
            product: Array = wide(super().__getitem__(index)) * self._factors[index]
            return product.astype(self._dtype)


class _Vector:
    """What is as long as a layer has channels: held whole."""

    def __init__(self, change: Change, values: Array, dtype: str) -> None:
        self._values = layout_of(change)(values).astype(numpy_dtype(dtype))

    def __getitem__(self, index: Index) -> Array:
        return np.asarray(self._values[index])


def _folded(before: Tensor, change: Change, value: Folded, limits: Limits) -> Any:
    made = _made(value, limits)
    if value.makes is not Makes.KERNEL:
        return _Vector(change, made, before.dtype)
    sides = [side if axis in value.axes else 1 for axis, side in enumerate(before.shape or ())]
    return _Factored(before, change, made.reshape(sides), limits)


def _absorbed(before: Tensor, change: Change, value: Absorbed, limits: Limits) -> Any:
    if value.makes is Makes.KERNEL:
        factors = np.ones(1) if value.factors is None else _made(value.factors, limits)
        return _Factored(before, change, factors.reshape(-1, 1), limits)
    shape = value.kernel.shape or ()
    total = np.zeros(shape[-1]) if value.bias is None else _vector(value.bias, limits)
    kernel = View(value.kernel, nothing, limits)
    terms = np.zeros(shape[0]) if value.terms is None else _made(value.terms, limits)
    for rows, columns in tiles(shape, max(limits.slice_bytes // _WIDEST, 1)):
        total[columns] += terms[rows] @ wide(kernel[rows, columns])
    return _Vector(change, total, before.dtype)


def _made(value: Tensor | Folded, limits: Limits) -> Array:
    """A value a channel, float64: a variable's own, or what a BatchNormalization makes."""
    if isinstance(value, Tensor):
        return _vector(value, limits)
    with np.errstate(all="ignore"):
        scale: Array = 1.0 / np.sqrt(_vector(value.variance, limits) + value.epsilon)
        if value.gamma is not None:
            scale = scale * _vector(value.gamma, limits)
        if value.makes in (Makes.KERNEL, Makes.SCALE):
            return scale
        bias = 0.0 if value.bias is None else _vector(value.bias, limits)
        beta = 0.0 if value.beta is None else _vector(value.beta, limits)
        made: Array = (bias - _vector(value.mean, limits)) * scale + beta
        return made


def _vector(tensor: Tensor, limits: Limits) -> Array:
    return wide(whole(tensor, limits)).reshape(-1)


def _expected(before: Tensor, change: Change | None, limits: Limits) -> Any:
    value = None if change is None else change.value
    if change is None or value is None:
        return _Expected(before, change, limits)
    if isinstance(value, Masked):
        return _Masked(before, change, value, limits)
    if isinstance(value, Clustered):
        return _Clustered(before, change, value, limits)
    if isinstance(value, Scaled):
        return _Factored(before, change, np.asarray(value.factor), limits)
    if isinstance(value, Absorbed):
        return _absorbed(before, change, value, limits)
    return _folded(before, change, value, limits)

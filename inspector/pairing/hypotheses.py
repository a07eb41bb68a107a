"""What may have become of a variable when the model was converted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspector.limits import Limits
from inspector.model import Layer, Tensor
from inspector.pairing.agree import agrees
from inspector.pairing.fits import Fit, channels, fits
from inspector.pairing.layers import Unit
from inspector.pairing.names import Names, variable_of
from inspector.pairing.nouns import Absorbed, Change, Folded, Makes, Pair, Scaled, Side, Value

EPSILON = 1e-3  # Keras' default


@dataclass(frozen=True, slots=True)
class Norm:
    """A BatchNormalization with its variables."""

    unit: Unit
    mean: Tensor
    variance: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    epsilon: float

    def fold(self, makes: Makes, axes: tuple[int, ...] = (), bias: Tensor | None = None) -> Folded:
        """What it makes of something."""
        path = self.unit.path
        return Folded(
            makes, path, self.mean, self.variance, self.gamma, self.beta, bias, self.epsilon, axes
        )

    def bias(self, bias: Tensor | None, after: Tensor) -> Iterator[tuple[Tensor, Change]]:
        """The bias of the layer that it went into: of that layer's own, or of beta alone."""
        before = bias or self.beta or self.mean
        for fit in fits("", 0, None, before.shape or (), after.shape or ()):
            yield before, change_with(before, after, fit, self.fold(Makes.BIAS, bias=bias))

    def alone(self, one: Tensor, after: Tensor, fit: Fit) -> Iterator[Change]:
        """What it is without a layer before it: its own product, or its own sum."""
        if one is (self.gamma or self.variance):
            yield change_with(one, after, fit, self.fold(Makes.SCALE))
        if one is (self.beta or self.mean):
            yield change_with(one, after, fit, self.fold(Makes.OFFSET))


def norms_of(side: Side, units: Sequence[Unit], names: Names) -> tuple[Norm, ...]:
    """The BatchNormalizations among some layers, told by their statistics."""
    found = []
    layers = _layers(side, names)
    for unit in units:
        parts = {variable_of(tensor): tensor for tensor in unit.tensors}
        mean, variance = parts.get("moving_mean"), parts.get("moving_variance")
        if mean is not None and variance is not None:
            layer = layers.get(unit.path)
            said = None if layer is None else layer.config.get("epsilon")
            epsilon = float(said) if isinstance(said, int | float) else EPSILON
            gamma, beta = parts.get("gamma"), parts.get("beta")
            found.append(Norm(unit, mean, variance, gamma, beta, epsilon))
    return tuple(found)


def _layers(side: Side, names: Names) -> dict[str, Layer]:
    model = side.artifact.model
    return {} if model is None else {names.of(layer.path): layer for layer in model.walk()}


def changes(
    before: Tensor, after: Tensor, fit: Fit, kernel: tuple[str, Sequence[Norm]] | None
) -> Iterator[Change | None]:
    """The ways that a variable may have gone: as it is, or with a BatchNormalization in it.

    kernel: the operator of which it is the kernel, and the BatchNormalizations to try.
    """
    yield change_of(before, after, fit)
    if kernel is None:
        return
    op, norms = kernel
    for norm in norms:
        axes = channels(op, before.shape or (), norm.mean.elements)
        if axes is not None:
            yield change_with(before, after, fit, norm.fold(Makes.KERNEL, axes))


def change_of(before: Tensor, after: Tensor, fit: Fit) -> Change | None:
    """A fit as a change; None where nothing is done at all."""
    found = change_with(before, after, fit, None)
    return found if found.kind else None


def change_with(before: Tensor, after: Tensor, fit: Fit, value: Value | None) -> Change:
    """A fit as a change, with what is done to the values."""
    kinds = list(fit.kinds)
    words = [*kinds]
    if isinstance(value, Folded | Absorbed):
        kinds.insert(0, "folded")
        words.insert(0, f"{value.layer} folded in")
    if isinstance(value, Scaled):
        kinds.insert(0, "scaled")
        words.insert(0, f"times {value.factor:.6g}")
    if after.real is not None and before.real is None:
        kinds.append("quantized")
        words.append(f"{before.dtype} to {after.dtype}")
    elif before.dtype != after.dtype:
        kinds.append("cast")
        words.append(f"{before.dtype} to {after.dtype}")
    axes, part, shape = fit.axes, fit.part, fit.shape
    return Change(" + ".join(kinds), ", ".join(words), axes, part, shape, value)


@dataclass(frozen=True, slots=True)
class Before:
    """What came before a Dense layer and may have gone into it: factors and terms an input."""

    layer: str
    factors: Tensor | Folded | None
    terms: Tensor | Folded | None

    def kernel(self, kernel: Tensor, after: Tensor, fit: Fit) -> Change:
        """The kernel with the factors in it."""
        value = Absorbed(Makes.KERNEL, self.layer, self.factors, self.terms, kernel)
        return change_with(kernel, after, fit, value)

    def bias(
        self, kernel: Tensor, bias: Tensor | None, after: Tensor
    ) -> Iterator[tuple[Tensor, Change]]:
        """The bias with the terms in it; without a bias of its own it is made of them."""
        if self.terms is None:
            return
        terms = self.terms if isinstance(self.terms, Tensor) else self.terms.mean
        value = Absorbed(Makes.BIAS, self.layer, self.factors, self.terms, kernel, bias)
        yield bias or terms, change_with(bias or terms, after, Fit((), after.shape or ()), value)


def before(kernel: Tensor, units: Sequence[Unit], norms: Sequence[Norm]) -> Iterator[Before]:
    """What of some layers, the nearest first, fits the inputs of a Dense kernel."""
    shape = kernel.shape or ()
    if len(shape) != 2:
        return
    biases = [
        tensor
        for unit in units
        for tensor in unit.tensors
        if variable_of(tensor) == "bias" and tensor.shape == shape[:1]
    ]
    for unit in units:
        for norm in norms:
            if norm.unit is unit and norm.mean.shape == shape[:1]:
                factors = norm.fold(Makes.SCALE)
                yield Before(unit.path, factors, norm.fold(Makes.OFFSET))
                for bias in biases:
                    yield Before(unit.path, factors, norm.fold(Makes.BIAS, bias=bias))
        parts = {variable_of(tensor): tensor for tensor in unit.tensors}
        gamma, beta = parts.get("gamma"), parts.get("beta")
        fitting = {tensor.shape for tensor in (gamma, beta) if tensor is not None} == {shape[:1]}
        if fitting and "moving_mean" not in parts:
            yield Before(unit.path, gamma, beta)
    for bias in biases:
        yield Before(bias.layer or bias.name, None, bias)


def scaled(before: Tensor, after: Tensor, change: Change | None, limits: Limits) -> Change | None:
    """The change with the factor that attention gives its queries, where that makes them agree.

    Source: Keras' MultiHeadAttention divides them by the square root of a head's size.
    """
    sides = before.shape or ()
    if len(sides) < 2:
        return None
    fit = Fit(
        tuple(k for k in (change.kind.split(" + ") if change else ()) if k not in _DTYPES),
        after.shape or (),
        None if change is None else change.axes,
        None if change is None else change.part,
    )
    found = change_with(before, after, fit, Scaled(1.0 / math.sqrt(max(sides[-1], 1))))
    return found if agrees(Pair(before, after, "", "", found), limits) else None


_DTYPES = frozenset({"cast", "quantized"})

"""Which stored tensor is which variable of the live model, found without reading any name.

A generator walks its live objects and says of every variable what it is (`Part`). To find out under
which key a variable is stored, each is filled with a number of its own, the model is saved once
more, somewhere else, and TensorFlow reads that copy back: the key that holds a part's number
throughout is the part's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Part:
    """A live variable, and what it is for.

    role: a word of the report's contract. of: the variable that a mask, a slot ... serves.
    trainable: whether the live model trains it; None where that is no question of the model's.
    variable: anything with `assign` and `numpy`, or the parts of a partitioned one in a tuple.
    content: its values, in any order (a table has none), where it cannot be filled: found by them.
    """

    role: str
    variable: Any = None
    of: Any = None
    trainable: bool | None = None
    content: np.ndarray | None = None


class InSession:
    """A variable of a TF1 graph, with `numpy` and `assign` as an eager one has them."""

    def __init__(self, variable: Any, session: Any) -> None:
        self.variable, self.session = variable, session
        self.shape, self.dtype = variable.shape, variable.dtype.base_dtype

    def numpy(self) -> np.ndarray:
        return self.session.run(self.variable)

    def assign(self, values: np.ndarray) -> None:
        initializer = self.variable.initializer
        self.session.run(initializer, {initializer.inputs[1]: values})


@contextlib.contextmanager
def filled(parts: Sequence[Part]) -> Iterator[None]:
    """While it lasts, every variable holds its part's number; then its own values again."""
    kept = [(v, np.array(v.numpy())) for part in parts for v in _variables(part)]
    try:
        for number, part in enumerate(parts, start=1):
            for variable in _variables(part):
                values = np.asarray(variable.numpy())
                variable.assign(np.full(values.shape, _mark(values.dtype, number), values.dtype))
        yield
    finally:
        for variable, values in kept:
            variable.assign(values)


def found(parts: Sequence[Part], arrays: Mapping[str, np.ndarray]) -> dict[str, Part]:
    """The part that each array is, of those that are any; `arrays` was read from a filled copy."""
    if len(parts) > 100:
        raise ValueError(f"int8 cannot number {len(parts)} parts")
    return {
        name: part
        for name, values in arrays.items()
        for number, part in enumerate(parts, start=1)
        if _is(part, number, values)
    }


def _variables(part: Part) -> tuple[Any, ...]:
    if part.variable is None:
        return ()
    return part.variable if isinstance(part.variable, tuple) else (part.variable,)


def _mark(dtype: np.dtype, number: int) -> Any:
    """No number of a live graph is likely to be x + 0.5; bfloat16 holds it exactly to 100.5."""
    if dtype.kind == "O":
        return f"part {number}".encode()
    return number if dtype.kind in "iu" else number + 0.5


def _is(part: Part, number: int, values: np.ndarray) -> bool:
    if part.content is not None:
        alike = values.dtype == part.content.dtype and values.shape == part.content.shape
        return alike and sorted(values.ravel().tolist()) == sorted(part.content.ravel().tolist())
    live = [np.asarray(v.numpy()) for v in _variables(part)]
    alike = values.dtype == live[0].dtype and values.size == sum(one.size for one in live)
    return alike and values.size > 0 and bool((values == _mark(values.dtype, number)).all())


def keras_parts(model: Any, without: Collection[str] = ()) -> list[Part]:
    """The parts of a live tf_keras model: its layers', its optimizer's and its metrics'.

    without: roles that are not stored.
    """
    parts = {id(part.variable): part for part in _wrapped(model)}
    trainable = {id(v) for v in model.trainable_weights}
    for variable in model.weights:
        known = parts.get(id(variable), Part("weight", variable))
        parts[id(variable)] = Part(known.role, variable, known.of, id(variable) in trainable)
    listed = {id(v) for v in model.weights}
    if parts.keys() - listed:
        raise ValueError("a wrapper has variables that the model does not list")
    metrics = [Part("metric", v) for metric in model.metrics for v in metric.variables]
    everything = [*parts.values(), *optimizer_parts(model), *metrics]
    return [part for part in everything if part.role not in without]


def _wrapped(model: Any) -> Iterator[Part]:
    """What the layers have besides weights, by the attribute that holds it."""
    for layer in model.submodules:
        for weight, mask, threshold in getattr(layer, "pruning_vars", ()):
            yield Part("mask", mask, of=weight)
            yield Part("threshold", threshold, of=weight)
        if hasattr(layer, "pruning_vars"):
            yield Part("pruning_step", layer.pruning_step)
        for name, centroids in getattr(layer, "cluster_centroids", {}).items():
            weight = layer.original_clusterable_weights[name]
            yield Part("centroids", centroids, of=weight)
            yield Part("cluster_indices", layer.pulling_indices[name], of=weight)
        if hasattr(layer, "optimizer_step"):  # both kinds of tfmot's quantizing layers
            yield Part("quant_step", layer.optimizer_step)
            inner = {id(v) for v in getattr(getattr(layer, "layer", None), "weights", ())}
            inner |= {id(weight) for weight, _, _ in getattr(layer, "_weight_vars", ())}
            for variable in layer.weights:
                if id(variable) not in inner and variable is not layer.optimizer_step:
                    yield Part("quant_param", variable)
        for name in ("moving_mean", "moving_variance"):
            if hasattr(layer, name):
                yield Part("statistic", getattr(layer, name))


def optimizer_parts(model: Any) -> Iterator[Part]:
    """Of Adam, new or legacy: two slots a trainable variable, and what is no slot."""
    import tf_keras

    optimizer = model.optimizer
    if optimizer is None:
        return
    if isinstance(optimizer, tf_keras.optimizers.legacy.Optimizer):
        yield Part("optimizer_state", optimizer.iterations)
        hypers = [getattr(optimizer, name, None) for name in optimizer.get_config()]
        yield from (Part("optimizer_state", one) for one in hypers if hasattr(one, "assign"))
        for variable in model.trainable_weights:
            for name in optimizer.get_slot_names():
                yield Part("optimizer_slot", optimizer.get_slot(variable, name), of=variable)
        return
    yield Part("optimizer_state", optimizer.iterations)
    yield Part("optimizer_state", optimizer.learning_rate)
    for slots in (optimizer._momentums, optimizer._velocities):  # noqa: SLF001 (nothing public)
        for variable, slot in zip(model.trainable_weights, slots, strict=True):
            yield Part("optimizer_slot", slot, of=variable)

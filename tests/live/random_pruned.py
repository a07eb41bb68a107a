"""Random models of tf_keras that tfmot wraps, whole or in part, and the same models stripped.

A seed always gives the same two. Each variable has values of its own, so that only the right
partner of a weight is equal to it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from random_models import _Builder
from random_training import Case, train

if TYPE_CHECKING:
    from random_layers import Choice, Shape

KIND = "tfmot_pruned"


@dataclass
class Two:
    """One random model twice. pruned: with its wrappers; bare: stripped of them."""

    seed: int
    pruned: Case
    bare: Case


def make(seed: int, keras: Any, toolkit: Any) -> Two:
    """Build the models of a seed. Raises what Keras and tfmot raise where they refuse."""
    rng = random.Random(seed)
    builder = _Prunable(rng, keras, KIND)
    builder.limit = rng.choice((2, 3, 5))
    model, _ = builder.model()
    while not model.weights:
        model, _ = builder.model()
    case = Case(seed, KIND, keras, model, notes=builder.notes)
    case.model = _wrapped(case, rng, toolkit)
    builder.freeze(case.model)
    case.trained = rng.random() < 0.4 and train(case, rng)
    fill(case.model, np.random.default_rng(seed))
    _prune(case, rng)
    bare = Case(seed, KIND, keras, toolkit.sparsity.keras.strip_pruning(case.model))
    return Two(seed, case, bare)


class _Prunable(_Builder):
    def _choices(self, shape: Shape) -> Sequence[Choice]:
        L, r = self.layers, self.rng  # noqa: N806
        found = [*super()._choices(shape)]
        if shape[0] == "ids":
            return found
        found.append(lambda c: L.LayerNormalization(scale=r.random() < 0.8, **c))
        if len(shape) == 2:
            found += [
                lambda c: L.Conv1DTranspose(2, 2, **self._bias(), **c),
                lambda c: L.DepthwiseConv1D(2, padding="same", **c),
                lambda c: L.TimeDistributed(L.Dense(3, **self._bias()), **c),
                self._bidirectional,
            ]
        return found

    def _merge(self, *tensors: Any) -> Any:
        # Not Average: the half of it that the converter puts into a Dense kernel has no name there.
        kind = self.rng.choice(("Add", "Concatenate", "Maximum", "Multiply"))
        return getattr(self.layers, kind)(**self._named())(list(tensors))


# --- wrapping ----------------------------------------------------------------------------------


def _wrapped(case: Case, rng: random.Random, toolkit: Any) -> Any:
    """The model in wrappers: of all layers that tfmot takes, of some, or of those in a model."""
    keras, model = case.keras, case.model
    wrap = _pruner(case, rng, toolkit)
    rate = rng.choice((1.0, 1.0, 0.6))
    case.notes.append(f"{rate:.0%} of layers")
    nested = rng.random() < 0.25 and len(model.inputs) == len(model.outputs) == 1

    def some(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=some)
        fresh = layer.__class__.from_config(layer.get_config())
        if not layer.weights or rng.random() >= rate or _is_refused(layer):
            return fresh
        try:
            return wrap(fresh)
        except ValueError:
            return fresh  # tfmot does not know how to prune such a layer

    found = keras.models.clone_model(model, clone_function=some)
    if not nested:
        return found
    case.notes.append("nested")
    first = keras.Input(model.inputs[0].shape[1:], dtype=model.inputs[0].dtype)
    # The converter quantizes kernels of 1,024 elements and more alone.
    wide = wrap(keras.layers.Dense(34))(found(first))
    return keras.Model(first, wrap(keras.layers.Dense(40))(wide))


def _is_refused(layer: Any) -> bool:
    """tfmot asks attention for kernels that it has only once it was called."""
    return type(layer).__name__ == "MultiHeadAttention"


def _pruner(case: Case, rng: random.Random, toolkit: Any) -> Callable[[Any], Any]:
    sparsity = toolkit.sparsity.keras
    schedule = rng.choice(
        (
            sparsity.ConstantSparsity(0.2, 0),
            sparsity.ConstantSparsity(0.8, 0, 10, 2),
            sparsity.PolynomialDecay(0.1, 0.7, 0, 10, frequency=1),
        )
    )
    more: dict[str, Any] = {}
    if rng.random() < 0.15:
        more = {"block_size": (1, 2), "block_pooling_type": "MAX"}
    elif rng.random() < 0.15:
        more = {"sparsity_m_by_n": (2, 4)}
    case.notes.append(f"{type(schedule).__name__} {more or ''}")
    return lambda layer: sparsity.prune_low_magnitude(layer, schedule, **more)


# --- values ------------------------------------------------------------------------------------


def fill(model: Any, rng: np.random.Generator) -> None:
    """Give each variable other values; a variance stays a variance."""
    for variable in model.weights:
        name = variable.name.split(":")[0].rpartition("/")[2]
        if not variable.dtype.is_floating or name in ("mask", "threshold"):
            continue
        fresh = rng.normal(size=variable.shape)
        fresh = np.abs(fresh) + 0.5 if name == "moving_variance" else fresh
        variable.assign(fresh.astype(variable.dtype.as_numpy_dtype))


def wrappers(model: Any) -> list[Any]:
    """Every wrapper of tfmot's pruning in a model, nested ones too."""
    return [one for one in model._flatten_layers() if type(one).__name__ == "PruneLowMagnitude"]


def _prune(case: Case, rng: random.Random) -> None:
    """Masks as a step of training makes them, or any; then the weights are zero where they are."""
    values = np.random.default_rng(case.seed)
    steps = rng.random() < 0.5
    case.notes.append("a step of pruning" if steps else "masks assigned")
    for layer in wrappers(case.model):
        layer.pruning_step.assign(rng.randint(1, 9))
        if steps:
            layer.pruning_obj.conditional_mask_update()
        else:
            for _, mask, threshold in layer.pruning_vars:
                mask.assign(values.integers(0, 2, mask.shape))
                threshold.assign(values.random())
        layer.pruning_obj.weight_mask_op()
